"""Early stopping across calls, by the loss and by scorers, and unusual weights on Dask: as on one machine."""

import pytest
from distributed import Client, LocalCluster

import fastbp
import fastbp.dask
from support.partitions import OPTIONS, assert_same_model, partitioned

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module", autouse=True)
def client():
    """A client of a worker in this process."""
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


@pytest.mark.parametrize("factor", [1e36, 1e-36, 1e-300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_common_factor_of_the_weights_gives_the_same_model(dtype, factor, X, y, weights):
    options = OPTIONS | {"solver": "gd", "dtype": dtype, "alpha": 0.0}
    expected = fastbp.BackpropClassifier(**options).fit(X, y, weights)
    found = fastbp.dask.BackpropClassifier(**options).fit(partitioned(X), y, factor * weights)
    assert_same_model(found, expected, 1e-4 if dtype == "float32" else 1e-8)


@pytest.mark.parametrize("given", [False, True])
def test_early_stopping_by_the_loss_is_that_of_one_machine(given, X, y):
    options = OPTIONS | {"solver": "adam", "early_stopping": True, "monitor": "loss", "n_iter_no_change": 2}
    options |= {"validation_fraction": 0.3, "learning_rate_init": 0.05, "max_iter": 40}
    expected, found = fastbp.BackpropClassifier(**options), fastbp.dask.BackpropClassifier(**options)
    expected.fit(X, y, **({"X_val": X[:20], "y_val": y[:20]} if given else {}))
    found.fit(partitioned(X), y, **({"X_val": partitioned(X[:20], (9, 11)), "y_val": y[:20]} if given else {}))
    assert_same_model(found, expected)
    assert expected.converged_
    assert found.converged_


def test_early_stopping_goes_on_across_warm_fits(X, y):
    options = OPTIONS | {"solver": "sgd", "early_stopping": True, "warm_start": True, "max_iter": 1}
    expected, found = fastbp.BackpropClassifier(**options), fastbp.dask.BackpropClassifier(**options)
    for _ in range(6):
        expected.fit(X, y)
        found.fit(partitioned(X), y)
    assert_same_model(found, expected)
    assert len(set(found.loss_curve_)) == 6


def test_a_scorer_reads_a_validation_set_in_memory_only(X, y):
    options = OPTIONS | {"solver": "adam", "early_stopping": True, "monitor": "neg_log_loss", "max_iter": 4}
    found = fastbp.dask.BackpropClassifier(**options)
    with pytest.raises(ValueError, match=r"monitor='neg_log_loss' needs a validation set in memory.*'score' or 'loss'"):
        found.fit(partitioned(X), y)
    with pytest.raises(ValueError, match="monitor='neg_log_loss' needs a validation set in memory"):
        found.fit(partitioned(X), y, X_val=partitioned(X), y_val=y)
    expected = fastbp.BackpropClassifier(**options).fit(X, y, X_val=X, y_val=y)
    assert_same_model(found.fit(partitioned(X), y, X_val=X, y_val=y), expected)
    assert_same_model(found.fit(X, y, X_val=X, y_val=y), expected)
