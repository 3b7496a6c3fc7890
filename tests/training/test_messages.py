"""The output of a verbose fit."""

import re
import warnings
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from fastbp import BackpropClassifier, BackpropRegressor
from support.fits import PAIRS, SOLVERS, both, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestVerbose:
    """The printed text is scikit-learn's, character by character."""

    CASES: ClassVar[dict[str, dict[str, Any]]] = {
        "adam": {"max_iter": 5},
        "sgd": {"solver": "sgd", "max_iter": 5},
        "tol": {"tol": 0.05, "n_iter_no_change": 3, "max_iter": 60},
        "sgd, tol": {"solver": "sgd", "tol": 0.05, "n_iter_no_change": 2, "max_iter": 60},
        "adaptive": {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "learning_rate_init": 0.3,
            "tol": 0.1,
            "n_iter_no_change": 1,
            "max_iter": 60,
        },
        "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3, "max_iter": 60},
        "early stopping, adaptive": {
            "early_stopping": True,
            "solver": "sgd",
            "learning_rate": "adaptive",
            "n_iter_no_change": 1,
            "tol": 0.2,
            "validation_fraction": 0.3,
            "max_iter": 60,
        },
    }

    @staticmethod
    def printed(model, X, y, capsys, method: str = "fit", **fit_params) -> list[str]:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            getattr(model, method)(X, y, **fit_params)
        return capsys.readouterr().out.splitlines()

    @pytest.mark.parametrize("case", CASES)
    @both
    def test_fit(self, estimator, case, capsys):
        X, y = problem(estimator)
        params = {"learning_rate_init": 0.05, **self.CASES[case], "verbose": True}
        ours, theirs = (self.printed(small(class_, **params), X, y, capsys) for class_ in (estimator, PAIRS[estimator]))
        assert ours == theirs
        kinds = {re.sub(r"-?\d+(\.\d+)?", "#", line) for line in ours}
        assert "Iteration #, loss = #" in kinds
        assert ("Validation score: #" in kinds) == ("early" in case)
        assert any("Stopping." in line for line in kinds) == (case not in ("adam", "sgd"))
        assert any("Setting learning rate to #" in line for line in kinds) == ("adaptive" in case)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @both
    def test_partial_fit(self, estimator, solver, capsys):
        X, y = problem(estimator)
        params = {**SOLVERS[solver], "verbose": True, "tol": 10, "n_iter_no_change": 1}
        ours, theirs = small(estimator, **params), small(PAIRS[estimator], **params)
        first = {"classes": [0, 1, 2]} if estimator is BackpropClassifier else {}
        for fit_params in (first, {}, {}, {}):
            lines = self.printed(ours, X, y, capsys, "partial_fit", **fit_params)
            assert lines == self.printed(theirs, X, y, capsys, "partial_fit", **fit_params)
        assert "Stopping." in lines[-1]

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_the_messages_of_several_outputs(self, solver, capsys):
        X, y = problem(BackpropRegressor)
        Y = np.column_stack([y, -y, X[:, 0]])
        params = {**SOLVERS[solver], "verbose": True, "tol": 0.1, "n_iter_no_change": 1, "max_iter": 60, "alpha": 0.0}
        ours, theirs = (
            self.printed(small(class_, **params), X, Y, capsys) for class_ in (BackpropRegressor, MLPRegressor)
        )
        assert len(ours) == len(theirs)
        assert ours[-1] == theirs[-1]
        assert "did not improve more than tol=0.100000 for 1 consecutive epochs. Stopping." in ours[-1]

    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_says_nothing_unless_asked(self, estimator, solver, capsys):
        X, y = problem(estimator)
        for verbose in (False, 0):
            assert not self.printed(small(estimator, verbose=verbose, **SOLVERS[solver]), X, y, capsys)
        for verbose in (True, 1, 10):
            lines = self.printed(small(estimator, verbose=verbose, **SOLVERS[solver]), X, y, capsys)
            assert sum(line.startswith("Iteration ") for line in lines) >= 3
