"""A fit that replaces another one, while other threads use the estimator."""

import threading

import numpy as np
import pytest

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.estimators.base import Perceptron
from support.recorders import needs_callbacks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
SIDE = (X[:, 0] > 0).astype(int)


def during_training(monkeypatch, model, look, *fit_arguments):
    """model.fit(*fit_arguments); returns what look() returns in another thread when the training has begun."""
    found, solve = [], Perceptron._solve

    def looking(self, fit, trainer):
        thread = threading.Thread(target=lambda: found.append(look()))
        thread.start()
        thread.join()
        yield from solve(self, fit, trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Perceptron, "_solve", looking)
        model.fit(*fit_arguments)
    return found[0]


def test_predictions_during_a_refit_are_those_of_the_previous_fit(monkeypatch):
    labels = np.array(["left", "right"])
    model = BackpropClassifier((10,), max_iter=20, random_state=0).fit(X, labels[SIDE])
    before = model.predict(X), model.predict_proba(X), model.classes_, vars(model).copy()
    other = np.array(["right", "up"])[SIDE]  # other classes
    predicted, p, classes, attributes = during_training(
        monkeypatch,
        model,
        lambda: (model.predict(X), model.predict_proba(X), model.classes_, vars(model).copy()),
        np.hstack([X, X]),
        other,
    )
    assert (predicted == before[0]).all()
    assert (p == before[1]).all()
    assert (classes == before[2]).all()
    assert attributes.keys() == before[3].keys()
    assert all(attributes[name] is value for name, value in before[3].items())
    assert list(model.classes_) == ["right", "up"]
    assert model.n_features_in_ == 8


def test_an_estimator_is_not_fitted_before_its_first_fit_ends(monkeypatch):
    model = BackpropRegressor(hidden_layer_sizes=(10,), max_iter=3, random_state=0)
    names = during_training(monkeypatch, model, lambda: set(vars(model)), X, X[:, 0])
    assert not any(name.endswith("_") for name in names)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "hidden_activations"])
def test_a_prediction_that_a_refit_overtakes_is_of_one_fit(monkeypatch, method):
    first, second = (
        BackpropClassifier((width,), max_iter=20, random_state=0, warm_start=False).fit(X, y)
        for width, y in ((10, SIDE), (7, np.array([5, 3, 4])[SIDE + (X[:, 1] > 0)]))
    )
    expected = getattr(first, method)(X)
    theta_of = Perceptron._theta

    def refitted_meanwhile(self, network):
        first.__dict__ = second.__dict__.copy()  # as if a refit in another thread ended now
        return theta_of(self, network)

    monkeypatch.setattr(Perceptron, "_theta", refitted_meanwhile)
    found = getattr(first, method)(X)
    for a, b in zip(np.atleast_2d(found), np.atleast_2d(expected), strict=True):
        assert (np.asarray(a) == np.asarray(b)).all()


def test_a_refit_without_names_of_features_forgets_them_and_keeps_other_attributes():
    pandas = pytest.importorskip("pandas")
    model = BackpropClassifier((5,), max_iter=2, random_state=0).fit(pandas.DataFrame(X, columns=list("abcd")), SIDE)
    model.note = "mine"
    model.fit(X, SIDE)
    assert not hasattr(model, "feature_names_in_")
    assert model.note == "mine"
    assert list(model.classes_) == [0, 1]


def test_a_fit_that_fails_leaves_names_and_classes_as_they_were():
    model = BackpropClassifier((5,), max_iter=2, random_state=0).fit(X, SIDE)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=r"diverged|not finite|NaN"):
        model.set_params(solver="sgd", learning_rate_init=1e300).fit(np.hstack([X, X]), SIDE + 3)
    assert all(vars(model)[name] is value for name, value in before.items() if name.endswith("_"))


@needs_callbacks
def test_callbacks_see_the_classes_and_the_features_of_the_fit_under_way():
    pandas = pytest.importorskip("pandas")
    from sklearn.callback import ScoringMonitor

    model = BackpropClassifier((5,), max_iter=2, random_state=0)
    model.set_callbacks(ScoringMonitor(scoring="accuracy"))  # it predicts with a copy of the estimator
    model.fit(pandas.DataFrame(X, columns=list("abcd")), SIDE)
    model.fit(np.hstack([X, X]), np.array(["left", "right"])[SIDE])  # a warning about names would be an error
    assert not hasattr(model, "feature_names_in_")
