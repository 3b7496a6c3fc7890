"""Copies of models: stored and loaded, or cloned."""

import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from support.fits import SOLVERS, assert_same_bits, both, interrupted, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def by_pickle(model, folder) -> Any:
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder) -> Any:
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model")


def by_memory_map(model, folder) -> Any:
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="r")


class TestCopies:
    """A model that was stored and loaded is the same, and trains on as the original would."""

    @staticmethod
    def models(estimator: type, solver: str) -> dict[str, Any]:
        X, y = problem(estimator)
        params = {**SOLVERS[solver], "random_state": np.random.RandomState(0)}
        warm = small(estimator, **params, warm_start=True).fit(X, y).fit(X, y)
        stopped = interrupted(small(estimator, **params, warm_start=True), X, y, 2)
        models = {"fitted": small(estimator, **params).fit(X, y), "warm": warm, "interrupted": stopped}
        if solver in ("sgd", "adam"):
            early = {**params, "early_stopping": True, "validation_fraction": 0.3, "warm_start": True}
            models["early stopping"] = small(estimator, **early).fit(X, y)
            models["adaptive"] = small(estimator, **params, learning_rate="adaptive", tol=1, n_iter_no_change=1).fit(
                X, y
            )
        return models

    @pytest.mark.parametrize("copy", [by_pickle, by_joblib, by_memory_map])
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_go_on_as_the_original(self, estimator, solver, copy, tmp_path):
        X, y = problem(estimator)
        for name, model in self.models(estimator, solver).items():
            loaded = copy(model, tmp_path)
            assert vars(loaded).keys() == vars(model).keys()
            assert_same_bits(loaded, model, name)
            assert_array_equal(output(loaded, X), output(model, X), err_msg=name)
            again = ["fit", "fit"]
            if solver in ("sgd", "adam") and not model.early_stopping:
                again = ["partial_fit", "partial_fit", "fit"]
            for method in again:
                for estimator_ in (model, loaded):
                    getattr(estimator_, method)(X, y)
                assert_same_bits(loaded, model, f"{name} {method}")
                assert loaded.loss_curve_ == model.loss_curve_
                assert loaded.n_iter_ == model.n_iter_
                assert loaded.converged_ == model.converged_

    @both
    def test_of_an_unfitted_model_are_unfitted(self, estimator, tmp_path):
        for copy in (by_pickle, by_joblib):
            with pytest.raises(NotFittedError):
                copy(small(estimator), tmp_path).predict([[0.0]])

    @both
    def test_clones_have_the_parameters_alone(self, estimator):
        X, y = problem(estimator)
        model = small(estimator, alpha=0.25, random_state=np.random.RandomState(3))
        state = model.random_state.get_state()[1].copy()
        cloned = clone(model).fit(X, y)
        assert_array_equal(model.random_state.get_state()[1], state)
        with pytest.raises(NotFittedError):
            clone(cloned).predict(X)
        assert clone(cloned).get_params().keys() == model.get_params().keys()
        assert clone(cloned).alpha == 0.25
