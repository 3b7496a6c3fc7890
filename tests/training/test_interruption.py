"""Ctrl-C between two epochs keeps what was learned."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import BackpropClassifier
from support.fits import SOLVERS, assert_same_bits, both, interrupted, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestInterrupt:
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_of_a_fit_keeps_what_a_shorter_fit_gives(self, estimator, solver):
        X, y = problem(estimator)
        model = interrupted(small(estimator, **SOLVERS[solver], max_iter=50), X, y, 3)
        shorter = small(estimator, **SOLVERS[solver], max_iter=3).fit(X, y)
        assert_same_bits(model, shorter)
        assert model.n_iter_ == 3
        assert model.t_ == shorter.t_
        assert not model.converged_
        assert model.loss_curve_ == shorter.loss_curve_[: len(model.loss_curve_)]
        assert len(model.loss_curve_) == 3
        assert_array_equal(output(model, X), output(shorter, X))

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @both
    def test_of_partial_fit_keeps_the_epoch(self, estimator, solver):
        X, y = problem(estimator)
        first = {"classes": [0, 1, 2]} if estimator is BackpropClassifier else {}
        model, whole = (small(estimator, **SOLVERS[solver]).partial_fit(X, y, **first) for _ in range(2))
        interrupted(model, X, y, 1, "partial_fit")
        whole.partial_fit(X, y)
        for _ in range(2):
            assert_same_bits(model, whole)
            assert model.loss_curve_ == whole.loss_curve_
            assert model.t_ == whole.t_
            model.partial_fit(X, y)
            whole.partial_fit(X, y)

    @pytest.mark.parametrize("given", [False, True])
    @both
    def test_of_early_stopping_keeps_the_best_weights(self, estimator, given):
        X, y = problem(estimator)
        params = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.1, "max_iter": 50}
        held_out = {"X_val": X[:15], "y_val": y[:15]} if given else {}
        model = interrupted(small(estimator, **params), X, y, 7, **held_out)
        assert len(model.validation_scores_) == len(model.validation_loss_curve_) == len(model.loss_curve_) == 7
        assert model.best_validation_score_ == max(model.validation_scores_)
        best = int(np.argmax(model.validation_scores_)) + 1
        shorter = small(estimator, **{**params, "max_iter": best}).fit(X, y, **held_out)
        assert_same_bits(model, shorter)
        if given:
            assert model.score(X[:15], y[:15]) == pytest.approx(model.best_validation_score_)

    @both
    def test_of_a_fit_with_a_validation_set_keeps_its_record(self, estimator):
        X, y = problem(estimator)
        model = interrupted(small(estimator, max_iter=50), X, y, 3, X_val=X[:9], y_val=y[:9])
        shorter = small(estimator).fit(X, y, X_val=X[:9], y_val=y[:9])
        assert_same_bits(model, shorter)
        assert model.validation_scores_ == shorter.validation_scores_
        assert model.validation_loss_curve_ == shorter.validation_loss_curve_
        assert model.score(X[:9], y[:9]) == pytest.approx(model.validation_scores_[-1])
