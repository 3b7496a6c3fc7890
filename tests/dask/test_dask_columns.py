"""Dask dataframes: columns of partitions in another order, and partitions without rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastbp

dd = pytest.importorskip("dask.dataframe")
fastbp_dask = pytest.importorskip("fastbp.dask")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("dask_client"),
]
OPTIONS = {"hidden_layer_sizes": (8,), "batch_size": 25, "max_iter": 2, "random_state": 0}


def frames(*orders):
    """(a frame, the Dask dataframe of the same rows): a partition for each order of the columns."""
    rng = np.random.default_rng(0)
    here = [pd.DataFrame(rng.normal(size=(20, 3)), columns=list("abc")) for _ in orders]
    there = [part[list(order)] for part, order in zip(here, orders, strict=True)]
    return pd.concat(here), dd.from_map(lambda p: there[p], range(len(orders)), meta=there[0][:0])


def test_the_columns_of_partitions_are_matched_by_name():
    here, there = frames("abc", "cab", "bca")
    y = (here.a > 0).to_numpy()
    options = OPTIONS
    expected = fastbp.BackpropClassifier(**options).fit(here, y)
    found = fastbp_dask.BackpropClassifier(**options).fit(there, y)
    assert list(found.feature_names_in_) == list("abc")
    assert_allclose(found.coefs_[0], expected.coefs_[0], rtol=1e-8, atol=1e-8)
    assert_array_equal(found.predict(there).compute(), expected.predict(here))
    assert_allclose(found.predict_proba(there).compute(), expected.predict_proba(here), rtol=1e-6)


def test_other_columns_are_refused_by_name():
    _, there = frames("abc", "cab")
    other = dd.from_map(
        lambda p: there.partitions[0].compute().rename(columns={"b": "B"} if p else {}), range(2), meta=there._meta
    )
    with pytest.raises(ValueError, match=r"columns \['a', 'B', 'c'\], but the collection has \['a', 'b', 'c'\]"):
        fastbp_dask.BackpropClassifier(**OPTIONS).fit(other, np.arange(40) % 2)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "hidden_activations"])
@pytest.mark.parametrize("form", ["array", "frame"])
def test_the_prediction_of_an_empty_partition_has_no_rows(form, method):
    here, there = frames("abc", "abc", "abc")
    y = np.array(["few", "more"])[(here.a > 0) * 1]
    X = here if form == "frame" else here.to_numpy()
    model = fastbp_dask.BackpropClassifier(**OPTIONS).fit(X, y)
    for kept in ([1, 2], [0], []):
        some = [there.partitions[p].map_partitions(lambda part, n=20 * (p in kept): part[:n]) for p in range(3)]
        Z = dd.concat(some) if form == "frame" else dd.concat(some).to_dask_array()
        rows = np.concatenate([np.arange(20 * p, 20 * p + 20) for p in kept]) if kept else np.empty(0, int)
        found, expected = getattr(model, method)(Z), getattr(model, method)(X)
        for ours, whole in zip(found, expected, strict=True) if isinstance(found, list) else [(found, expected)]:
            computed = ours.compute()
            assert computed.dtype == whole.dtype
            assert_allclose(computed, whole[rows]) if whole.dtype.kind == "f" else assert_array_equal(
                computed, whole[rows]
            )


def test_a_partition_without_rows_needs_no_columns():
    here, there = frames("abc", "abc")
    parts = [here[:20], pd.DataFrame(), here[20:]]
    Z = dd.from_map(lambda p: parts[p], range(3), meta=there._meta)
    y = (here.a > 0).to_numpy()
    model = fastbp_dask.BackpropClassifier(**OPTIONS).fit(Z, y)
    assert_array_equal(model.predict(Z).compute(), model.predict(here))
