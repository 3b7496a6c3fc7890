"""The norms of delta are those of the recursion, layer by layer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.displays import DeltaNormDisplay, delta_norms
from support.pictures import X, Y, legend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def norms_by_hand(clf, X, targets):
    """The norms for tanh units, if the delta of the output is a - y."""
    layers = clf.hidden_activations(X)
    output = clf.predict_proba(X) if hasattr(clf, "classes_") else clf.predict(X).reshape(len(X), -1)
    delta = output[:, -targets.shape[1] :] - targets
    norms = [np.linalg.norm(delta, axis=1)]
    for coef, a in zip(reversed(clf.coefs_[1:]), reversed(layers), strict=True):
        delta = delta @ coef.T * (1 - a**2)
        norms.insert(0, np.linalg.norm(delta, axis=1))
    return np.stack(norms, axis=1)


def test_norms_of_delta_are_those_of_the_recursion(iris, monkeypatch):
    monkeypatch.setattr(delta_norms, "ROWS_AT_ONCE", 64)
    display = DeltaNormDisplay.from_estimator(iris, X, Y)
    expected = norms_by_hand(iris, X, np.eye(3)[Y])
    assert_allclose(display.norms, expected, rtol=1e-9)
    assert_allclose(display.line_.get_data(), [[2, 3, 4], expected.mean(axis=0)], rtol=1e-9)
    band = display.band_.get_paths()[0].vertices
    for l, percentiles in zip((2, 3, 4), np.percentile(expected, [10, 90], axis=0).T, strict=True):
        assert_allclose(np.unique(band[band[:, 0] == l, 1]), percentiles, rtol=1e-9)
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_legend() is None


def test_norms_of_delta_of_sparse_examples_and_every_kind_of_target(iris):
    dense = DeltaNormDisplay.from_estimator(iris, X, Y)
    assert_allclose(DeltaNormDisplay.from_estimator(iris, sparse.csr_array(X), Y).norms, dense.norms, rtol=1e-9)
    options = {"hidden_layer_sizes": (4,), "activation": "tanh", "max_iter": 3, "random_state": 0}
    labels = np.stack([Y == 0, Y > 0], axis=1).astype(int)
    for net, y, targets in (
        (BackpropClassifier(**options), np.array(["no", "yes"])[(Y > 0) * 1], labels[:, 1:]),
        (BackpropClassifier(**options), labels, labels),
        (BackpropRegressor(**options), X[:, 0], X[:, :1]),
        (BackpropRegressor(**options), X[:, :2], X[:, :2]),
    ):
        net.fit(X, y)
        assert_allclose(DeltaNormDisplay.from_estimator(net, X, y).norms, norms_by_hand(net, X, targets), rtol=1e-9)


def test_vanishing_deltas_of_deep_logistic_units_are_seen_beside_those_of_tanh():
    ax, slopes, scaled = None, {}, StandardScaler().fit_transform(X)
    for activation in ("logistic", "tanh"):
        clf = BackpropClassifier(hidden_layer_sizes=(16,) * 6, activation=activation, max_iter=1, random_state=0)
        display = DeltaNormDisplay.from_estimator(clf.fit(scaled, Y), scaled, Y, name=activation, ax=ax)
        ax, slopes[activation] = display.ax_, display.line_.get_ydata()[0] / display.line_.get_ydata()[-1]
    assert slopes["logistic"] < 1e-3 < 0.1 < slopes["tanh"]
    assert legend(ax) == ["logistic", "tanh"]


@pytest.mark.parametrize(
    ("y", "what"),
    [(Y + 1, r"y has classes \[3\] that the fit did not have"), (np.eye(3)[Y], r"y has shape \(150, 3\)")],
)
def test_norms_of_delta_of_an_unfitting_y_are_refused(iris, y, what):
    with pytest.raises(ValueError, match=f"^{what}"):
        DeltaNormDisplay.from_estimator(iris, X, y)


def test_layers_have_the_names_of_the_picture_of_the_network(iris):
    def names(ax):
        return [(tick, label.get_text()) for tick, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)]

    display = DeltaNormDisplay.from_estimator(iris, X, Y, label="deep", c="green")
    assert names(display.ax_) == [(2, "hidden 1"), (3, "hidden 2"), (4, "output")]
    assert display.line_.get_color() == "green"
    assert legend(display.ax_) == ["deep"]
    flat = BackpropClassifier(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X, Y)
    DeltaNormDisplay.from_estimator(flat, X, Y, ax=display.ax_)
    assert names(display.ax_) == [(2, "hidden 1"), (3, "hidden 2 / output"), (4, "output")]
