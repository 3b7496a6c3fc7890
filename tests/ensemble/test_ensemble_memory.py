"""The estimated memory of an ensemble is close to the measured one. Each thread trains one member at a time."""

import gc
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor
from fastbp.ensemble import base, memory
from fastbp.training import footprint
from fastbp.training.footprint import Footprint

ROWS = 400
CASES = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "gd": {"solver": "gd"},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 20},
    "float32": {"dtype": "float32"},
    "several chunks": {"batch_size": 10**6},
}


@pytest.fixture
def estimates(monkeypatch):
    """The estimates of all later fits, in their order."""
    found = []
    monkeypatch.setattr(base, "refuse_too_much", lambda needed, *_: found.append(needed))
    return found


def measured(model, X, y) -> int:
    """The largest memory of a fit. The first fit compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size`")
        model.fit(X, y)
        del model.members_
        gc.collect()
        tracemalloc.start()
        try:
            model.fit(X, y)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def problem(n=ROWS, n_features=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_features)), rng.integers(4, size=n)


def wide(**params):
    return BackpropClassifier(**{"hidden_layer_sizes": (512, 256), "max_iter": 2, "random_state": 0, **params})


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_the_estimate_is_within_30_percent_of_what_is_measured(case, n_jobs, estimates):
    model = BackpropEnsembleClassifier(wide(**CASES[case]), 5, n_jobs=n_jobs, random_state=0)
    used = measured(model, *problem())
    assert 0.7 * used < estimates[-1] < 1.3 * used
    assert estimates[0] == estimates[-1]


@pytest.mark.parametrize("selection", ["average", "greedy"])
def test_the_estimate_for_sparse_data_and_for_a_selection(selection, estimates):
    X, y = problem(1000, 1000)
    X = scipy.sparse.csr_matrix(X * (np.abs(X) > 2))
    model = BackpropEnsembleClassifier(wide(hidden_layer_sizes=(256,)), 5, selection=selection, n_jobs=2)
    used = measured(model, X, y)
    assert 0.7 * used < estimates[-1] < 1.3 * used


def test_the_estimate_for_a_regressor_with_a_selection(estimates):
    X, _ = problem()
    early = {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 20}
    net = BackpropRegressor(hidden_layer_sizes=(512, 256), **early)
    model = BackpropEnsembleRegressor(net, 5, selection="greedy", n_jobs=2, random_state=0)
    used = measured(model, X, X[:, :3])
    assert 0.7 * used < estimates[-1] < 1.3 * used


def test_members_that_have_ended_keep_only_their_attributes():
    X, y = problem()
    two, eight = (measured(BackpropEnsembleClassifier(wide(solver="lbfgs"), n, n_jobs=1), X, y) for n in (2, 8))
    weights = 8 * (64 * 512 + 512 * 256 + 256 * 4)
    assert eight - two < 6 * 1.1 * weights


def test_the_largest_memory_is_that_of_the_largest_members_in_training_beside_all_others():
    members = [Footprint(10, 4), Footprint(100, 30), Footprint(50, 2)]
    assert memory.peak(members, 1, 0) == 4 + 100 + 2
    assert memory.peak(members, 2, 7) == 4 + 100 + 50 + 7
    assert memory.peak(members, 9, 0) == 10 + 100 + 50


def test_the_memory_of_the_machine_is_known_or_not_checked(monkeypatch):
    assert footprint.physical_memory() > 1 << 28
    monkeypatch.delattr(footprint.os, "sysconf")
    assert footprint.physical_memory() is None
    footprint.refuse_too_much(1 << 80, "8 networks", "", "Set fewer.")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_errors_of_members_do_not_keep_the_data():
    class Seen(np.ndarray):
        """An array that a weak reference can refer to."""

    X = np.random.default_rng(0).normal(size=(60, 6)).view(Seen)
    y, seen = np.arange(60) % 3, weakref.ref(X)
    net = BackpropClassifier((7,), max_iter=2, random_state=0)
    gc.collect()
    gc.disable()
    try:
        with pytest.warns(FitFailedWarning):
            BackpropEnsembleClassifier(net, 4, param_distributions={"learning_rate_init": [1e-3, 1e200]}).fit(X, y)
        del X
        assert seen() is None
    finally:
        gc.enable()
