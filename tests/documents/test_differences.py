"""Each row of the table of differences from scikit-learn's MLP holds on both sides.

In the names of tests, "there" means scikit-learn.
"""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastbp import BackpropClassifier, BackpropRegressor
from support.documents import TESTS, TEXT

X, Y = load_iris(return_X_y=True)
# ELSEWHERE: rows with their tests in other files.
ELSEWHERE = {
    "a fit that diverges": "test_divergence_says_what_to_change",
    "a fit that fails": "test_a_failed_fit_leaves_the_previous_model",
    "`warm_start` with `early_stopping`": "test_warm_start_with_early_stopping_keeps_weights_that_nothing_improves_on",
    "a batch whose weights are all 0": "test_a_batch_whose_weights_are_all_zero_is_skipped",
    "`sample_weight` below 0": "test_sample_weight_negative",
    "outputs that overflow in `predict`": "test_outputs_that_are_not_finite_are_never_passed_on",
    "early stopping without a finite validation score": (
        "test_without_any_finite_validation_score_early_stopping_is_an_error"
    ),
    "numbers below the smallest normal one (1e-38 in float32)": (
        "test_training_flushes_subnormal_numbers_and_nothing_else_does"
    ),
}
HERE = {}


def row(title):
    """Register the test of a row."""

    def of(test):
        HERE[title] = test.__name__
        return test

    return of


def fit(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


def fits(ours, theirs, X, y, **options):
    """Both estimators, fitted with the same options."""
    options = {"hidden_layer_sizes": (3,), "random_state": 0, "max_iter": 5, "alpha": 0.0} | options
    return fit(ours(**options), X, y), fit(theirs(**options), X, y)


@row("`loss_` of a classifier")
def test_the_loss_of_a_saturated_output_is_exact_and_clipped_there():
    options = {"solver": "sgd", "momentum": 0, "max_iter": 1, "learning_rate_init": 1e-4, "activation": "identity"}
    ours, theirs = fits(BackpropClassifier, MLPClassifier, 1e3 * X, Y, **options)
    assert theirs.loss_ < 36.05 < 200 < ours.loss_
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-9)


@pytest.fixture
def outputs():
    """Data with three numbers to predict."""
    features, targets = make_regression(60, 4, n_targets=3, random_state=0)
    return features, targets / targets.std(axis=0)


@row("`loss_` of `squared_error`, several outputs")
def test_the_squared_error_is_summed_and_averaged_there(outputs):
    ours, theirs = fits(BackpropRegressor, MLPRegressor, *outputs)
    assert ours.loss_ == pytest.approx(3 * theirs.loss_)
    assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)


@row("`lbfgs`, several outputs, `squared_error`")
def test_lbfgs_gets_lower_than_with_the_wrong_gradient_there(outputs):
    features, targets = outputs
    ours, theirs = fits(BackpropRegressor, MLPRegressor, features, targets, solver="lbfgs", alpha=10, max_iter=500)

    def objective(reg):
        squares = ((reg.predict(features) - targets) ** 2).sum() + 10 * sum((coef**2).sum() for coef in reg.coefs_)
        return squares / 2 / len(features)

    assert objective(ours) == pytest.approx(ours.loss_)
    assert objective(ours) < 0.95 * objective(theirs)


@row("`partial_fit` with `early_stopping`")
def test_partial_fit_stops_early_with_a_validation_set_and_not_there():
    with pytest.raises(ValueError, match="early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    clf = BackpropClassifier((3,), early_stopping=True, random_state=0)
    clf.partial_fit(X, Y, classes=[0, 1, 2], X_val=X, y_val=Y)
    assert len(clf.validation_scores_) == 1


@row("`set_params` between calls of `partial_fit`")
def test_a_learning_rate_set_between_calls_takes_effect_and_not_there():
    def moves(estimator):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
        before = estimator.coefs_[0].copy()
        estimator.set_params(learning_rate_init=1e-12).partial_fit(X, Y)
        return abs(estimator.coefs_[0] - before).max()

    assert moves(BackpropClassifier((3,), random_state=0)) < 1e-10
    assert moves(MLPClassifier((3,), random_state=0)) > 1e-4


@row("`loss_curve_`, `best_loss_`")
def test_lbfgs_has_a_loss_curve_and_not_there():
    ours, theirs = fits(BackpropClassifier, MLPClassifier, X, Y, solver="lbfgs")
    assert len(ours.loss_curve_) >= 5
    assert ours.best_loss_ == min(ours.loss_curve_)
    assert not hasattr(theirs, "loss_curve_")
    assert getattr(theirs, "best_loss_", None) in (None, np.inf)


@row("`predict_proba` of a single class")
def test_one_class_has_one_column_and_two_there():
    ours, theirs = fits(BackpropClassifier, MLPClassifier, X, np.zeros(len(X), int))
    assert ours.predict_proba(X).shape[1] == len(ours.classes_) == len(theirs.classes_) == 1
    assert theirs.predict_proba(X).shape[1] == 2


def test_every_row_has_its_test():
    (table,) = re.findall(r"\n\| \| scikit-learn \| fastbp \|\n\|.*?\n(.*?)\n\n", TEXT, re.S)
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert {len(cells) for cells in rows} == {3}
    assert sorted(cells[0] for cells in rows) == sorted([*ELSEWHERE, *HERE])
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert [name for name in ELSEWHERE.values() if f"def {name}(" not in sources] == []
