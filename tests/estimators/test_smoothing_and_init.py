"""Label smoothing, and the distributions of the initial weights."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from fastbp import BackpropClassifier, BackpropRegressor, textbook
from support.classifiers import SOLVERS, targets


def fitted(kind, **params):
    X, y = targets(kind)
    params = {"hidden_layer_sizes": (6,), "alpha": 0, "max_iter": 1, "solver": "gd", "random_state": 0, **params}
    return X, y, BackpropClassifier(**params).fit(X, y)


@pytest.mark.filterwarnings("ignore:Gradient descent")
class TestLabelSmoothing:
    @pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
    @pytest.mark.parametrize("epsilon", [0.1, 0.5])
    def test_the_loss_has_smoothed_targets(self, kind, epsilon):
        X, y, clf = fitted(kind, label_smoothing=epsilon, learning_rate_init=1e-30)
        Y = np.eye(3)[y] if kind == "multiclass" else y.reshape(len(y), -1)
        Y = (1 - epsilon) * Y + epsilon / (3 if kind == "multiclass" else 2)
        z = np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0) @ clf.coefs_[1] + clf.intercepts_[1]
        if kind == "multiclass":
            expected = -(Y * np.log(softmax(z, axis=1))).sum(axis=1).mean()
        else:
            expected = -(Y * np.log(expit(z)) + (1 - Y) * np.log(expit(-z))).sum(axis=1).mean()
        assert clf.loss_curve_[0] == pytest.approx(expected, rel=1e-12)

    def test_the_validation_loss_has_the_targets_themselves(self):
        X, y = targets("multiclass")
        clf = BackpropClassifier((6,), label_smoothing=0.3, max_iter=2, random_state=0)
        with pytest.warns(match="Maximum iterations"):
            clf.fit(X, y, X_val=X, y_val=y)
        p = clf.predict_proba(X)[np.arange(len(y)), y]
        assert clf.validation_loss_curve_[-1] == pytest.approx(-np.log(p).mean(), rel=1e-10)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_solver_learns_less_certain_probabilities(self, solver):
        certainty = []
        for epsilon in (0, 0.3):
            X, _, clf = fitted(
                "multiclass", label_smoothing=epsilon, solver=solver, max_iter=300, learning_rate_init=0.05
            )
            certainty.append(clf.predict_proba(X).max(axis=1).mean())
        assert certainty[1] < certainty[0]
        assert certainty[1] < 0.85

    @pytest.mark.parametrize("out_activation", ["softmax", "logistic"])
    def test_the_textbook_smooths_likewise(self, out_activation):
        Y = np.eye(4)[[0, 2]]
        found = textbook.smoothed(Y, 0.2, out_activation=out_activation)
        u = 0.25 if out_activation == "softmax" else 0.5
        np.testing.assert_allclose(found, 0.8 * Y + 0.2 * u, rtol=1e-15)
        with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\), got 1"):
            textbook.smoothed(Y, 1)

    @pytest.mark.parametrize("loss", ["squared_error", "euclidean"])
    def test_a_loss_without_probabilities_is_refused(self, loss):
        with pytest.raises(ValueError, match=r"label_smoothing must be 0 unless loss is .*, got 0.1 with loss="):
            fitted("multiclass", label_smoothing=0.1, loss=loss)


@pytest.mark.filterwarnings("ignore:Gradient descent")
class TestInit:
    @pytest.mark.parametrize("estimator", [BackpropClassifier, BackpropRegressor])
    @pytest.mark.parametrize(("init", "variance"), [("he", 2.0), ("lecun", 1.0)])
    def test_weights_are_normal_with_the_variance_of_their_name_and_biases_are_0(self, estimator, init, variance):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(20, 50)), rng.integers(2, size=20)
        params = {"solver": "gd", "learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0, "random_state": 1}
        net = estimator(hidden_layer_sizes=(200, 100), init=init, **params).fit(X, y)
        for coef, intercept in zip(net.coefs_[:2], net.intercepts_[:2], strict=True):
            sigma = np.sqrt(variance / len(coef))
            assert abs(coef.mean()) < 4 * sigma / np.sqrt(coef.size)
            assert coef.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * coef.size))
            assert (abs(coef) > 3 * sigma).any()
            assert (abs(intercept) < 1e-200).all()

    def test_the_layers_of_relu_and_selu_keep_the_scale_of_their_input(self):
        X = np.random.default_rng(2).normal(size=(500, 100))
        for init, activation in (("he", "relu"), ("lecun", "selu")):
            params = {"solver": "gd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 1}
            net = BackpropRegressor(hidden_layer_sizes=(100,) * 8, init=init, activation=activation, **params)
            last = net.fit(X, X[:, 0]).hidden_activations(X)[-1]
            assert 0.5 < np.mean(last**2) < 2

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(ValueError, match=r"'init' parameter .*Got 'glorot'"):
            fitted("binary", init="glorot")
