"""Fits on Dask collections are those of one machine, whatever the partitions. Predictions are lazy and the same."""

import asyncio
import gc
import pickle
import subprocess
import sys
import time

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from distributed import Client, Future
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastbp
import fastbp.dask
from fastbp.dask import cluster, worker
from fastbp.dask.cluster import Cluster, DistributedExamples, Partitions
from fastbp.dask.trainer import ARITY, DistributedTrainer
from fastbp.data.examples import as_examples
from fastbp.kernels import optimizers
from fastbp.network.architecture import network_of
from fastbp.network.initialization import glorot
from fastbp.parallel.team import Team
from fastbp.training.observer import watch
from fastbp.training.trainer import Trainer
from support.partitions import OPTIONS, assert_same_model, partitioned

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# {number of partitions: rows of each partition}. There are 60 examples.
PARTITIONS = {1: (60,), 2: (10, 50), 3: (7, 13, 40), 7: (1, 2, 3, 4, 10, 20, 20)}
over_partitions = pytest.mark.parametrize("rows", PARTITIONS.values(), ids=map(str, PARTITIONS))
SOLVERS = {
    "gd": {"learning_rate_init": 0.5},
    "lbfgs": {},
    "sgd": {"learning_rate_init": 0.1},
    "adam": {"learning_rate_init": 0.01},
}


@pytest.fixture(scope="module", autouse=True)
def client(two_processes):
    return two_processes


def bits(net):
    return b"".join(array.tobytes() for array in (*net.coefs_, *net.intercepts_, np.array(net.loss_curve_)))


# ---------------------------------------------------------------- the same model


@over_partitions
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_model_is_that_of_one_machine(solver, rows, X, y):
    options = OPTIONS | {"solver": solver} | SOLVERS[solver]
    expected = fastbp.BackpropClassifier(**options).fit(X, y)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X, rows), partitioned(y, (30, 30)))
    assert_same_model(found, expected)
    assert_array_equal(found.classes_, expected.classes_)


@over_partitions
def test_objective_and_gradient_are_those_of_one_machine(rows, X, y, weights):
    shape = network_of((5, 8, 3), ("relu", "softmax"), "log_loss", np.dtype(np.float64))
    theta = shape.layout.pack(*glorot(shape, ("relu", "relu"), np.random.RandomState(0)))
    local = Trainer(
        shape,
        theta.copy(),
        as_examples(X, shape.dtype, codes=y, weights=weights),
        batch=60,
        team=Team(1),
        alpha=0.5,
    )
    partitions = Partitions(Cluster(), partitioned(X, rows).to_delayed().ravel(), 5, "a test")
    examples = DistributedExamples.of(partitions, shape.dtype, y, None, weights)
    remote = DistributedTrainer(
        shape, theta.copy(), examples, batch=60, optimizer=optimizers.NONE, alpha=0.5, n_jobs=None
    )
    assert remote.loss_and_gradient(theta) == pytest.approx(local.loss_and_gradient(theta), rel=1e-10)
    assert_allclose(shape.layout.flatten(remote.grad), shape.layout.flatten(local.grad), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_the_same_partitions_give_the_same_bits(solver, X, y):
    def fit():
        net = fastbp.dask.BackpropClassifier(**OPTIONS | {"solver": solver})
        return bits(net.fit(partitioned(X, PARTITIONS[7]), y))

    assert fit() == fit()


def test_gradients_of_more_partitions_than_a_task_adds_up_are_added_up_by_several_tasks(X, y):
    options = OPTIONS | {"solver": "gd", "max_iter": 2}
    expected = fastbp.BackpropClassifier(**options).fit(X, y)
    assert ARITY < 20
    assert_same_model(fastbp.dask.BackpropClassifier(**options).fit(partitioned(X, (3,) * 20), y), expected)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_weights_of_examples_and_classes_count_as_on_one_machine(solver, X, y, weights):
    options = OPTIONS | {"solver": solver, "class_weight": "balanced"} | SOLVERS[solver]
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X), partitioned(y), partitioned(weights, (60,)))
    assert_same_model(found, expected)


def test_batches_and_partitions_without_weight_are_skipped(X, y):
    weights = np.repeat([0.0, 1.0], 30)
    options = OPTIONS | {"solver": "adam", "shuffle": False, "batch_size": 20}
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X, (10, 20, 30)), y, weights)
    assert_same_model(found, expected)


def test_a_partition_of_tiny_weights_does_not_hurt_in_single_precision(X, y):
    weights = np.repeat([1e-42, 1.0], 30)
    options = OPTIONS | {"solver": "gd", "dtype": "float32"}
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X, (30, 30)), y, weights)
    assert_same_model(found, expected, 1e-5)


def test_early_stopping_sets_the_same_examples_aside_as_on_one_machine(X, y, weights):
    options = OPTIONS | {"solver": "adam", "early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2}
    weights = weights + 0.1
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X), y, weights)
    assert_same_model(found, expected)
    assert found.best_validation_score_ == pytest.approx(expected.best_validation_score_, rel=1e-12)


def here(values, rows=None):
    return values


@pytest.mark.parametrize(("form", "form_val"), [(partitioned, partitioned), (partitioned, here), (here, partitioned)])
def test_a_validation_set_may_be_on_the_workers_or_here(form, form_val, X, y):
    Y = X[:, :2] + np.sin(X[:, 2:4])
    held_out = {"X_val": X[::3], "y_val": Y[::3], "sample_weight_val": np.arange(20.0)}
    options = OPTIONS | {"solver": "sgd", "early_stopping": True, "n_iter_no_change": 2}
    expected = fastbp.BackpropRegressor(**options).fit(X, Y, **held_out)
    given = {name: form_val(values, (5, 15)) for name, values in held_out.items()}
    found = fastbp.dask.BackpropRegressor(**options).fit(form(X), form(Y), **given)
    assert_same_model(found, expected)


@pytest.mark.parametrize("form", ["float32", "int16", "sparse", "columns", "unknown", "empty"])
def test_whatever_the_blocks_are_the_model_is_that_of_one_machine(form, X, y):
    X = (10 * X).round()
    blocks, here = partitioned(X), X
    if form in ("float32", "int16"):
        here = X.astype(form)
        blocks = blocks.astype(form)
    elif form == "sparse":
        here = scipy.sparse.csr_matrix(X * (abs(X) > 12))
        blocks = partitioned(here.toarray()).map_blocks(scipy.sparse.csr_matrix)
    elif form == "columns":
        blocks = blocks.rechunk((20, 2))
    elif form == "unknown":
        blocks = blocks[blocks[:, 0] > -1e9]
        assert np.isnan(blocks.shape[0])
    else:
        blocks = partitioned(X, (0, 20, 0, 0, 40, 0))
    options = OPTIONS | {"solver": "adam", "max_iter": 2}
    expected = fastbp.BackpropClassifier(**options).fit(here, y)
    found = fastbp.dask.BackpropClassifier(**options).fit(blocks, y)
    assert_same_model(found, expected, 1e-4 if form == "float32" else 1e-8)
    assert (found.predict(blocks).compute() == expected.predict(here)).all()


@pytest.mark.parametrize("form", ["array", "Series", "DataFrame", "strings"])
def test_y_may_be_any_dask_collection(form, X, y):
    if form == "DataFrame":
        here = pd.DataFrame({"a": y > 0, "b": y > 1}).astype(int)
        there = dd.from_pandas(here, npartitions=2)
    elif form == "Series":
        here = pd.Series(y)
        there = dd.from_pandas(here, npartitions=4)
    else:
        here = y if form == "array" else np.array(["few", "more", "most"])[y]
        there = partitioned(here, (59, 1))
    options = OPTIONS | {"solver": "adam", "max_iter": 2}
    expected = fastbp.BackpropClassifier(**options).fit(X, here)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X), there)
    assert_same_model(found, expected)
    blocks = partitioned(X)
    assert_array_equal(found.predict(blocks).compute(), expected.predict(X))
    assert found.score(blocks, there) == expected.score(X, here)


def test_data_in_memory_are_fitted_without_workers(X, y, monkeypatch):
    monkeypatch.setattr(cluster, "get_client", None)
    options = OPTIONS | {"solver": "adam"}
    expected = fastbp.BackpropClassifier(**options).fit(X, y)
    found = fastbp.dask.BackpropClassifier(**options).fit(X, y)
    assert bits(found) == bits(expected)
    assert_array_equal(found.predict(X), expected.predict(X))
    assert found.score(X, y) == expected.score(X, y)


def test_partial_fit_goes_on_as_on_one_machine(X, y):
    expected = fastbp.BackpropClassifier(**OPTIONS)
    found = fastbp.dask.BackpropClassifier(**OPTIONS)
    for _ in range(3):
        expected.partial_fit(X, y, classes=range(3))
        found.partial_fit(partitioned(X), partitioned(y), classes=range(3))
    assert_same_model(found, expected)


def test_a_warm_start_goes_on_as_on_one_machine(X, y):
    expected = fastbp.BackpropRegressor(**OPTIONS, solver="lbfgs", warm_start=True)
    found = fastbp.dask.BackpropRegressor(**OPTIONS, solver="lbfgs", warm_start=True)
    for _ in range(2):
        expected.fit(X, y)
        found.fit(partitioned(X), y)
    assert_same_model(found, expected)


def test_large_arrays_are_sent_in_pieces(X, y, weights, monkeypatch):
    options = OPTIONS | {"solver": "adam", "max_iter": 2, "early_stopping": True, "validation_fraction": 0.3}
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    monkeypatch.setattr(cluster, "PIECE_BYTES", 100)
    sent = []
    send = worker.these
    monkeypatch.setattr(Cluster, "submit", noting(Cluster.submit, sent))
    assert_same_model(fastbp.dask.BackpropClassifier(**options).fit(partitioned(X), y, weights), expected)
    sizes = [args[0].nbytes for function, *args in sent if function is send]
    assert len(sizes) > 20
    assert max(sizes) <= 100 + 8


def noting(method, calls):
    def call(self, *args):
        calls.append(args)
        return method(self, *args)

    return call


# ---------------------------------------------------------------- watchers, lost partitions and leftovers


def test_watchers_are_told_of_each_epoch_and_may_interrupt(X, y):
    epochs = []

    def interrupt(epoch, max_iter, loss):
        epochs.append((epoch, max_iter, loss))
        if epoch == 3:
            raise KeyboardInterrupt

    net = fastbp.dask.BackpropClassifier(**OPTIONS)
    with watch(interrupt), pytest.warns(UserWarning, match="interrupted"):
        net.fit(partitioned(X), y)
    assert [epoch for epoch, _, _ in epochs] == [1, 2, 3]
    expected = fastbp.BackpropClassifier(**OPTIONS).set_params(max_iter=3).fit(X, y)
    assert_allclose(net.coefs_[0], expected.coefs_[0], rtol=1e-8)


@pytest.fixture
def lose_a_partition(client):
    """A function that makes the cluster lose a partition of the fit that runs."""
    before = set(client.futures)  # futures of earlier fits may still wait for the garbage collector

    def lose():
        key = next(key for key in client.futures if key.startswith("checked") and key not in before)
        client.cancel([Future(key, client)], force=True)

    return lose


def test_lost_partitions_are_computed_again(lose_a_partition, X, y, monkeypatch):
    expected = fastbp.BackpropClassifier(**OPTIONS).fit(X, y)
    loads = []
    monkeypatch.setattr(Partitions, "load", noting(Partitions.load, loads))

    def lose_one(epoch, max_iter, loss):
        if epoch == 2:
            lose_a_partition()

    net = fastbp.dask.BackpropClassifier(**OPTIONS)
    with watch(lose_one):
        net.fit(partitioned(X), y)
    assert_same_model(net, expected)
    assert len(loads) == 2


def test_a_partition_that_changes_when_it_is_computed_again_is_refused(lose_a_partition, X, y, tmp_path):
    flag = tmp_path / "flag"

    def load(i):
        return X[20 * i : 20 * (i + 1) - flag.exists()]

    parts = [da.from_delayed(dask.delayed(load)(i), shape=(20, 5), dtype=X.dtype) for i in range(3)]

    def lose_one(epoch, max_iter, loss):
        flag.touch()
        lose_a_partition()

    with (
        watch(lose_one),
        pytest.raises(ValueError, match="A partition of X has 19 rows, where it had 20 before"),
    ):
        fastbp.dask.BackpropClassifier(**OPTIONS, solver="gd").fit(da.concatenate(parts), y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_see_the_collections(early_stopping, X, y):
    callback = pytest.importorskip("sklearn.callback")
    options = OPTIONS | {"early_stopping": early_stopping, "max_iter": 2, "validation_fraction": 0.3}
    logs = []
    for kind, form in ((fastbp.BackpropClassifier, np.asarray), (fastbp.dask.BackpropClassifier, partitioned)):
        scores = callback.ScoringMonitor(scoring="accuracy")
        kind(**options).set_callbacks(scores).fit(form(X), form(y))
        logs.append([row["accuracy"] for row in scores.get_logs().data if row["task_name"] == "epoch"])
    assert len(logs[0]) == 2
    assert logs[0] == logs[1]


def test_progress_is_shown_where_nobody_knows_the_number_of_rows(X, y, capsys):
    callback = pytest.importorskip("sklearn.callback")
    blocks = partitioned(X)
    net = fastbp.dask.BackpropClassifier(**OPTIONS | {"early_stopping": True}).set_callbacks(callback.ProgressBar())
    net.fit(blocks[blocks[:, 0] > -1e9], y)
    assert "100%" in capsys.readouterr().out
    assert_array_equal(net.predict(blocks).compute(), net.predict(X))


def tasks_left(client):
    """The tasks that the scheduler still knows, after some time to forget them."""
    for _ in range(50):
        left = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        if not left:
            break
        time.sleep(0.1)
    return left


def test_a_fit_leaves_nothing_on_the_workers(client, X, y):
    gc.collect()
    net = fastbp.dask.BackpropClassifier(**OPTIONS).set_params(early_stopping=True).fit(partitioned(X), y)
    assert tasks_left(client) == []
    with pytest.raises(ValueError, match="NaN"):
        net.fit(partitioned(X * np.nan), y)
    gc.collect()
    assert tasks_left(client) == []


def test_an_estimator_is_cloned_stored_and_made_local(X, y):
    net = fastbp.dask.BackpropClassifier(**OPTIONS).fit(partitioned(X), y)
    assert clone(net).get_params() == net.get_params()
    loaded = pickle.loads(pickle.dumps(net))
    assert type(loaded) is fastbp.dask.BackpropClassifier
    assert bits(loaded) == bits(net)
    local = net.to_local()
    assert type(local) is fastbp.BackpropClassifier
    assert local.get_params() == net.get_params()
    assert_array_equal(local.predict(X), net.predict(X))
    local.coefs_[0][:] = 0
    assert net.coefs_[0].any()


WITHOUT_DASK = """
import pickle, sys
sys.modules.update(dict.fromkeys(["dask", "distributed"]))
net, X, y = pickle.load(sys.stdin.buffer)
assert (net.predict(X) == y).all()
try:
    import fastbp.dask
except ImportError as error:
    print(error)
"""


def test_without_dask_a_local_model_predicts_and_the_error_names_the_extra(X, y):
    net = fastbp.dask.BackpropClassifier(**OPTIONS).fit(partitioned(X), y)
    stored = pickle.dumps((net.to_local(), X, net.predict(X)))
    done = subprocess.run([sys.executable, "-c", WITHOUT_DASK], input=stored, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert 'pip install "fastbp[dask]"' in done.stdout.decode()


# ---------------------------------------------------------------- predictions


@pytest.fixture(scope="module")
def fitted(client, X, y):
    return fastbp.dask.BackpropClassifier(**OPTIONS).fit(partitioned(X), y)


@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler when a distributed client is active")
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("form", ["array", "unknown", "DataFrame"])
def test_predictions_are_lazy_and_those_of_one_machine(method, form, fitted, X):
    computed = []

    def note(block):
        computed.append(len(block))
        return block

    blocks = partitioned(X, (0, 20, 40)).map_blocks(note, dtype=X.dtype, meta=X[:0])
    if form == "DataFrame":
        blocks = dd.from_dask_array(blocks)
    elif form == "unknown":
        blocks = blocks[blocks[:, 0] > -1e9]
    lazy = getattr(fitted, method)(blocks)
    assert isinstance(lazy, da.Array)
    assert computed == []
    expected = getattr(fitted.to_local(), method)(X)
    with dask.config.set(scheduler="synchronous"):
        found = lazy.compute()
    assert sum(computed) == 60
    assert_array_equal(found, expected)
    assert lazy.dtype == lazy._meta.dtype == found.dtype
    assert lazy.ndim == found.ndim
    if form == "array":
        assert lazy.shape == found.shape
        assert lazy.chunks[0] == (0, 20, 40)


def test_a_regressor_predicts_lazily(X):
    Y = X[:, :2]
    net = fastbp.dask.BackpropRegressor(**OPTIONS).fit(partitioned(X), Y)
    lazy = net.predict(partitioned(X).rechunk((10, 2)))
    assert lazy.shape == (60, 2)
    assert_array_equal(lazy.compute(), net.to_local().predict(X))
    assert net.score(partitioned(X), partitioned(Y)) == pytest.approx(net.to_local().score(X, Y), rel=1e-12)


def test_hidden_activations_are_lazy(fitted, X):
    (hidden,) = fitted.hidden_activations(partitioned(X))
    assert hidden.shape == (60, 8)
    assert_array_equal(hidden.compute(), fitted.hidden_activations(X)[0])


def test_a_lazy_prediction_is_that_of_the_fit_before_its_call(X, y):
    net = fastbp.dask.BackpropClassifier(**OPTIONS).fit(partitioned(X), y)
    before, lazy = net.predict_proba(X), net.predict_proba(partitioned(X))
    net.set_params(random_state=1).fit(partitioned(X), y)
    assert_array_equal(lazy.compute(), before)


# ---------------------------------------------------------------- refusals


def test_names_of_columns_are_kept_and_checked(X, y):
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcde")), npartitions=3)
    net = fastbp.dask.BackpropClassifier(**OPTIONS).fit(frame, y)
    assert net.feature_names_in_.tolist() == list("abcde")
    assert net.n_features_in_ == 5
    expected = fastbp.BackpropClassifier(**OPTIONS).fit(frame.compute(), y)
    assert_same_model(net, expected)
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(frame.rename(columns={"a": "f"}))
    with pytest.raises(ValueError, match="feature names should match"):
        net.partial_fit(frame[list("edcba")], y)


def test_data_that_scikit_learn_refuses_are_refused_in_its_words(X, y):
    def refused(X, y, match, **options):
        with pytest.raises(ValueError, match=match):
            fastbp.dask.BackpropClassifier(**OPTIONS).fit(X, y, **options)

    hole = X.copy()
    hole[50, 2] = np.nan
    refused(partitioned(hole), y, "Input X contains NaN")
    hole[50, 2] = np.inf
    refused(partitioned(hole), y, "Input X contains infinity")
    refused(partitioned(X), partitioned(np.where(y == 0, np.nan, y)), "Input y contains NaN")
    refused(partitioned(X), y[:50], r"inconsistent numbers of samples: \[60, 50\]")
    refused(partitioned(X)[:, 0], y, "Expected 2D array, got 1D array")
    refused(partitioned(X)[:0], y[:0], "Found array with 0 sample")
    refused(partitioned(X), None, "requires y to be passed")
    refused(partitioned(X), y, "sample_weight.shape", sample_weight=np.ones(59))
    refused(partitioned(X), y, "at least one (positive value|non-zero number)", sample_weight=partitioned(np.zeros(60)))
    refused(partitioned(X), y, "In the validation set.*Input X contains NaN", X_val=partitioned(X * np.nan), y_val=y)
    refused(partitioned(X), y, "X has 4 features, but .* 5", X_val=partitioned(X[:, :4]), y_val=y)


def test_a_refused_fit_leaves_the_estimator_as_it_was(fitted, X, y):
    before = bits(fitted)
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(partitioned(X[:, :3] * np.nan), y)
    assert bits(fitted) == before
    assert fitted.n_features_in_ == 5


def test_an_X_that_is_not_a_collection_of_rows_is_refused(fitted, X, y):
    with pytest.raises(TypeError, match=r"X must be a Dask array or dataframe, or be in memory, got .*Delayed"):
        fastbp.dask.BackpropClassifier().fit(dask.delayed(X), y)
    unknown = da.from_delayed(dask.delayed(X), shape=(60, np.nan), dtype=float)
    with pytest.raises(ValueError, match="X must have a known number of columns"):
        fitted.predict(unknown)
    with pytest.raises(ValueError, match="A partition of X has 5 features"):
        fastbp.dask.BackpropClassifier().fit(da.from_delayed(dask.delayed(X), shape=(60, 6), dtype=float), y)


def test_without_a_client_the_error_says_how_to_have_one():
    program = """
import dask.array as da, fastbp.dask
try:
    fastbp.dask.BackpropClassifier().fit(da.ones((4, 2)), [0, 1, 0, 1])
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Create one before: client = dask.distributed.Client()" in done.stdout


def test_a_client_that_is_asynchronous_is_refused(client, X, y):
    async def fit():
        async with Client(client.scheduler.address, asynchronous=True):
            fastbp.dask.BackpropClassifier().fit(partitioned(X), y)

    with pytest.raises(RuntimeError, match="Client that is not asynchronous"):
        asyncio.run(fit())


def test_an_estimator_that_is_not_fitted_says_so_at_once(X):
    with pytest.raises(NotFittedError):
        fastbp.dask.BackpropClassifier().predict(partitioned(X))
    with pytest.raises(NotFittedError):
        fastbp.dask.BackpropRegressor().hidden_activations(partitioned(X))


def test_values_that_are_not_finite_are_refused_when_predictions_are_computed(fitted, X):
    lazy = fitted.predict(partitioned(X * np.nan))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        lazy.compute()
