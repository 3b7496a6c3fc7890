"""Fitted attributes that a user or a file may have edited: checked before any kernel sees them."""

import copy
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.network.architecture import Network
from support.fits import both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(estimator, **params):
    X, y = problem(estimator)
    return small(estimator, warm_start=True, **params).fit(X, y), X, y


def refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_width_of_eight_bits_predicts_as_before_and_does_not_harm_other_estimators():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 2)), rng.normal(size=(60, 255))
    edited, healthy = (BackpropRegressor(hidden_layer_sizes=5, max_iter=1, random_state=0).fit(X, Y) for _ in range(2))
    expected = healthy.predict(X)
    edited.n_outputs_ = np.uint8(255)
    for rows in (X[:1], X):
        assert_array_equal(edited.predict(rows), expected[: len(rows)])
        assert_array_equal(healthy.predict(rows), expected[: len(rows)])


@pytest.mark.parametrize("integer", [np.uint8, np.int16, np.int64])
def test_a_count_of_examples_of_few_bits_does_not_overflow(integer):
    model, X, y = fitted(BackpropClassifier)
    other = copy.deepcopy(model)
    model.t_ = integer(model.t_)
    assert model.partial_fit(X, y).t_ == other.partial_fit(X, y).t_ == 160


def with_nan(array):
    array = array.copy()
    array[:] = np.nan
    return array


# PREDICTED: {case: (attribute that a prediction needs, function from its old value to the edited one, part of the
# message)}.
PREDICTED = {
    "n_outputs_ wider": ("n_outputs_", lambda n: n + 13, "must"),
    "n_outputs_ huge": ("n_outputs_", lambda n: 2**62, "must"),
    "n_outputs_ a float": ("n_outputs_", float, "n_outputs_ must be a whole number, got "),
    "n_outputs_ a text": ("n_outputs_", str, "n_outputs_ must be a whole number, got "),
    "coefs_ none": ("coefs_", lambda c: None, "coefs_ and intercepts_ must be lists"),
    "coefs_ empty": ("coefs_", lambda c: [], "coefs_ and intercepts_ must be lists"),
    "coefs_ a dictionary": ("coefs_", lambda c: dict(enumerate(c)), "coefs_ and intercepts_ must be lists"),
    "coefs_ one less": ("coefs_", lambda c: c[:-1], "coefs_ and intercepts_ have shapes"),
    "coefs_ transposed": ("coefs_", lambda c: [a.T for a in c], "coefs_ and intercepts_ have shapes"),
    "coefs_ scalars": ("coefs_", lambda c: [1.0 for a in c], "coefs_ must hold matrices, got shapes [(), ()]"),
    "coefs_ vectors": ("coefs_", lambda c: [a.ravel() for a in c], "coefs_ and intercepts_ have shapes"),
    "coefs_ texts": ("coefs_", lambda c: [a.astype(str) for a in c], "must hold numbers, got dtype <U"),
    "coefs_ complex": ("coefs_", lambda c: [a * 1j for a in c], "must hold numbers, got dtype complex128"),
    "coefs_ of objects": ("coefs_", lambda c: [a.astype(object) for a in c], "must hold numbers, got dtype object"),
    "intercepts_ short": ("intercepts_", lambda b: [a[:-1] for a in b], "coefs_ and intercepts_ have shapes"),
    "intercepts_ an array": ("intercepts_", lambda b: np.zeros((2, 4)), "coefs_ and intercepts_ must be lists"),
    "activation unknown": ("activation", lambda a: "softmax", "activation must be among"),
    "activations too many": ("activation", lambda a: ["tanh"] * 3, "one per hidden layer: got 3 names"),
    "_target_kind unknown": ("_target_kind", lambda k: "other", "other"),
    "_target_kind a list": ("_target_kind", lambda k: [k], "_target_kind"),
}
ONLY_PREDICTED = {
    "out_activation_ a list": ("out_activation_", lambda a: ["logistic"], "activation of a layer must be a name"),
    "out_activation_ unknown": ("out_activation_", lambda a: "relu6", "output activation must be among"),
    "n_jobs a float": ("n_jobs", lambda n: 2.5, "n_jobs must be None or a whole number other than 0, got 2.5"),
}
# CLASSES: the same for the labels of a classifier
CLASSES = {
    "classes_ short": ("classes_", lambda c: c[:-1], "classes_, n_outputs_ and the kind"),
    "classes_ long": ("classes_", lambda c: np.arange(8), "got 8 classes, n_outputs_=3 and _target_kind='multiclass'"),
    "classes_ out of order": (
        "classes_",
        lambda c: c[::-1],
        "different labels in ascending order, got array(",
    ),
    "classes_ repeated": ("classes_", lambda c: c * 0, "different labels in ascending order"),
    "classes_ of objects out of order": ("classes_", lambda c: c.astype(object)[::-1], "in ascending order"),
    "classes_ NaN": ("classes_", lambda c: with_nan(c * 1.0), "different labels in ascending order"),
    "classes_ a list": ("classes_", lambda c: c.tolist(), "classes_ must be a vector of labels"),
    "classes_ a matrix": ("classes_", lambda c: c[:, None], "classes_ must be a vector of labels"),
    "classes_ empty": ("classes_", lambda c: c[:0], "classes_ must be a vector of labels"),
    "_target_kind binary": ("_target_kind", lambda k: "binary", "got 3 classes"),
}
# CONTINUED: the same for attributes that only a fit that goes on needs
CONTINUED = {
    "t_ negative": ("t_", lambda t: -1, "t_ must be a whole number >= 0, got -1"),
    "t_ a float": ("t_", float, "t_ must be a whole number >= 0, got 120.0"),
    "t_ huge": ("t_", lambda t: 10**400, "t_ must be a whole number >= 0"),
    "loss_curve_ a number": ("loss_curve_", lambda c: 1.0, "loss_curve_ must be a list of numbers or None, got 1.0"),
    "best_loss_ a text": ("best_loss_", str, "best_loss_ must be a number or None"),
    "_best_theta a matrix": ("_best_theta", lambda b: np.zeros((67, 1)), "_best_theta must be a vector of floats"),
    "_best_theta texts": ("_best_theta", lambda b: np.array(["a"]), "_best_theta must be a vector of floats"),
    "_optimizer_state other": ("_optimizer_state", lambda s: [s], "_optimizer_state must be an OptimizerState or None"),
}


def edited(estimator, edit):
    model, X, y = fitted(estimator)
    name, change, message = edit
    setattr(model, name, change(getattr(model, name)))
    return model, X, y, message


def predictions_refused(model, X, message):
    for method in ("predict", "hidden_activations", "predict_proba"):
        for rows in (X[:1], X):
            if hasattr(model, method):
                refused(lambda method=method, rows=rows: getattr(model, method)(rows), message)


def training_refused(model, X, y, message):
    for method in ("fit", "partial_fit"):
        refused(lambda method=method: getattr(model, method)(X, y), message)


@pytest.mark.parametrize("what", PREDICTED)
@both
def test_what_decides_a_size_or_an_index_is_checked(estimator, what):
    model, X, y, message = edited(estimator, PREDICTED[what])
    predictions_refused(model, X, message)
    training_refused(
        model, X, y, "need" if what == "intercepts_ short" else "must"
    )  # in the words of the parameters of the fit


@pytest.mark.parametrize("what", ONLY_PREDICTED)
@both
def test_what_only_a_prediction_reads_is_checked(estimator, what):
    model, X, _, message = edited(estimator, ONLY_PREDICTED[what])
    if what.startswith("n_jobs"):
        refused(lambda: model.predict(X), message)
    else:
        predictions_refused(model, X, message)


@pytest.mark.parametrize("what", CLASSES)
def test_labels_are_checked(what):
    model, X, y, message = edited(BackpropClassifier, CLASSES[what])
    predictions_refused(model, X, message)
    training_refused(model, X, y, message)


@pytest.mark.parametrize("what", CONTINUED)
@both
def test_what_a_fit_goes_on_with_is_checked(estimator, what):
    model, X, y, message = edited(estimator, CONTINUED[what])
    expected = output(model, X)
    training_refused(model, X, y, message)
    assert_array_equal(output(model, X), expected)


# STATE: edited fields of the optimiser's state, with the message
STATE = {
    "moment_1 short": ("moment_1", lambda v: v[:-1], "The vectors of _optimizer_state do not fit 'adam'"),
    "moment_2 of one number": ("moment_2", lambda v: v[:1], "The vectors of _optimizer_state do not fit 'adam'"),
    "moment_2 empty": ("moment_2", lambda v: v[:0], "The vectors of _optimizer_state do not fit 'adam'"),
    "moment_1 a matrix": ("moment_1", lambda v: v[:, None], "_optimizer_state.moment_1 must be a vector of floats"),
    "moment_1 none": ("moment_1", lambda v: None, "_optimizer_state.moment_1 must be a vector of floats"),
    "moment_2 of integers": ("moment_2", lambda v: v.astype(int), "_optimizer_state.moment_2 must be a vector"),
    "t huge": ("t", lambda t: 2**70, "_optimizer_state.t must be a whole number of steps >= 0"),
    "t negative": ("t", lambda t: -3, "_optimizer_state.t must be a whole number of steps >= 0, got -3"),
    "t a float": ("t", float, "_optimizer_state.t must be a whole number of steps >= 0"),
    "rate infinite": ("rate", lambda r: np.inf, "_optimizer_state.rate must be a finite number >= 0, got inf"),
    "rate a text": ("rate", str, "_optimizer_state.rate must be a finite number"),
    "network other": ("network", lambda n: "relu", "_optimizer_state.network must be a Network or None, got 'relu'"),
}


@pytest.mark.parametrize("what", STATE)
@both
def test_the_state_of_the_optimiser_is_checked(estimator, what):
    model, X, y = fitted(estimator)
    name, change, message = STATE[what]
    setattr(model._optimizer_state, name, change(getattr(model._optimizer_state, name)))
    refused(lambda: model.partial_fit(X, y), message)


def test_the_network_of_the_state_is_checked():
    model, X, y = fitted(BackpropClassifier)
    state = model._optimizer_state
    right = state.network
    state.network = Network((4, 300, 3), right.activations, right.loss, right.dtype)
    refused(lambda: model.partial_fit(X, y), "The vectors of _optimizer_state do not fit 'adam'")
    state.network = Network((4, np.uint8(4), 3), right.activations, right.loss, right.dtype)
    model.partial_fit(X, y)


def test_labels_of_the_user_out_of_order_do_not_reach_the_first_partial_fit():
    X, y = problem(BackpropClassifier)
    model = small(BackpropClassifier)
    model.classes_ = np.array([2, 1, 0])
    refused(lambda: model.partial_fit(X, y), "classes_ must be different labels in ascending order")


def test_codes_beyond_the_outputs_do_not_reach_a_kernel(monkeypatch):
    from fastbp.data.targets import Labels

    X, y = problem(BackpropClassifier)
    monkeypatch.setattr(Labels, "encode", lambda self, y, loss: (np.full(len(y), 3), None))
    refused(lambda: small(BackpropClassifier).fit(X, y), "y must have class codes from 0 to 2, got 3 to 3")
