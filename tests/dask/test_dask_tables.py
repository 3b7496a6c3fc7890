"""Estimators for tables in Dask. They fit in tasks. They refuse collections of Dask, and say what to do instead."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import TableEncoder, TabularClassifier, TabularRegressor
from support.tables import classes_of, fit_and_threads, numbers_of, table

distributed = pytest.importorskip("distributed")
da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")

pytestmark = pytest.mark.usefixtures("small_recipe")

X = table()
ARRAY = X[["rooms", "zeros"]].to_numpy()
CLF = TabularClassifier(2, random_state=0)
REG = TabularRegressor(2, random_state=0)


def submitted(client, *n_jobs):
    return client.gather([client.submit(fit_and_threads, n, pure=False) for n in n_jobs])


def test_a_fit_in_a_task_of_a_process_has_one_thread_unless_n_jobs_says_more_and_the_same_bits(dask_client):
    expected, _ = fit_and_threads(1)
    digests, threads = zip(*submitted(dask_client, None, None, 1, 2), strict=True)
    assert digests == 4 * (expected,)
    assert threads[:3] == (1, 1, 1)
    assert threads[3] <= 2


def test_fits_in_the_threads_of_one_worker_have_one_thread_each_and_the_same_bits():
    expected, _ = fit_and_threads(1)
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with cluster, cluster.get_client() as client:
        assert submitted(client, None, None, None) == 3 * [(expected, 1)]


def collections():
    return dd.from_pandas(X, npartitions=3), da.from_array(ARRAY, chunks=(80, 2))


@pytest.mark.parametrize("model", [CLF, REG, TableEncoder()], ids=lambda model: type(model).__name__)
def test_a_collection_is_refused_by_fit_with_what_to_do(model):
    for given in collections():
        with pytest.raises(
            TypeError, match=r"X must be .*, got (DataFrame|Array) of Dask. .* X.compute\(\).*fastbp.dask"
        ):
            model.fit(given, classes_of(X))
    with pytest.raises(TypeError, match=r"got DataFrame of Dask. .* X.compute\(\)"):
        TableEncoder().fit_transform(collections()[0])


def test_a_validation_set_of_dask_is_refused_too():
    with pytest.raises(TypeError, match=r"In the validation set X_val, .*: X must be .*, got DataFrame of Dask"):
        CLF.fit(X, classes_of(X), X_val=collections()[0], y_val=classes_of(X))


@pytest.mark.parametrize(
    ("model", "y", "method"),
    [
        (CLF, classes_of(X), "predict"),
        (CLF, classes_of(X), "predict_proba"),
        (REG, numbers_of(X), "predict"),
        (REG, np.ones(len(X)), "predict"),
        (TableEncoder(), None, "transform"),
    ],
)
def test_predictions_for_a_dataframe_are_made_by_partition_as_the_error_says(model, y, method):
    frame, array = collections()
    predict = getattr(model.fit(X, y), method)
    said = "transform" if method == "transform" else "predict"
    with pytest.raises(TypeError) as error:
        predict(frame)
    (call,) = [word for word in str(error.value).split(": ")[1:] if word.startswith("X.map_partitions")]
    assert call == f"X.map_partitions(model.{said}, meta=model.{said}(X.head(1)))."
    found = eval(call.rstrip(".").replace(f"model.{said}", "predict"), {"X": frame, "predict": predict})
    assert_array_equal(found.compute(), predict(X))
    predict = getattr(model.fit(ARRAY, y), method)
    with pytest.raises(TypeError, match=rf"got Array of Dask. .* X.map_blocks\(model.{said}, ...\)"):
        predict(array)
    if method == "predict":
        found = array.map_blocks(predict, drop_axis=1, dtype=predict(ARRAY).dtype)
        assert_array_equal(found.compute(), predict(ARRAY))
