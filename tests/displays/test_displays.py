"""All displays find the network inside other estimators, and refuse an estimator that they cannot draw."""

import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.displays import DeltaNormDisplay, LossCurveDisplay, NetworkDisplay
from support.pictures import X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DRAWERS = {
    "loss": lambda clf: LossCurveDisplay.from_estimator(clf),
    "network": lambda clf: NetworkDisplay.from_estimator(clf),
    "delta": lambda clf: DeltaNormDisplay.from_estimator(clf, X, Y),
}


def test_the_network_is_found_in_a_pipeline_a_search_and_a_transformed_target():
    options = {"hidden_layer_sizes": (4,), "activation": "tanh", "max_iter": 3, "random_state": 0}
    scaled = StandardScaler().fit_transform(X)
    plain = BackpropClassifier(**options).fit(scaled, Y)
    piped = make_pipeline(StandardScaler(), BackpropClassifier(**options)).fit(X, Y)
    search = GridSearchCV(piped, {"backpropclassifier__alpha": [1e-4]}, cv=2).fit(X, Y)
    expected = DeltaNormDisplay.from_estimator(plain, scaled, Y).norms
    for estimator in (piped, search):
        assert_allclose(DeltaNormDisplay.from_estimator(estimator, X, Y).norms, expected, rtol=1e-9)
        assert LossCurveDisplay.from_estimator(estimator).training_loss == plain.loss_curve_
        assert_array_equal(NetworkDisplay.from_estimator(estimator).coefs[0], plain.coefs_[0])

    y = 100 * X[:, 0]
    inner = BackpropRegressor(**options).fit(scaled, StandardScaler().fit_transform(y[:, None])[:, 0])
    outer = make_pipeline(
        StandardScaler(),
        TransformedTargetRegressor(BackpropRegressor(**options), transformer=StandardScaler()),
    ).fit(X, y)
    assert LossCurveDisplay.from_estimator(outer).training_loss == inner.loss_curve_
    expected = DeltaNormDisplay.from_estimator(inner, scaled, (y - y.mean()) / y.std()).norms
    assert_allclose(DeltaNormDisplay.from_estimator(outer, X, y).norms, expected, rtol=1e-9)


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_without_matplotlib_the_error_names_the_extra(draw, iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display.plot needs matplotlib, .*: pip install \"fastbp\[plot\]\""):
        draw(iris)


@pytest.mark.parametrize("draw", DRAWERS.values(), ids=DRAWERS)
def test_an_estimator_that_is_not_fitted_or_no_network_is_refused(draw):
    for estimator in (BackpropClassifier(), make_pipeline(StandardScaler(), BackpropClassifier())):
        with pytest.raises(NotFittedError):
            draw(estimator)
    X, y = np.arange(20.0)[:, np.newaxis], np.arange(20) % 2
    search = GridSearchCV(BackpropClassifier(max_iter=2), {"alpha": [1.0]}, cv=2, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    with pytest.raises(NotFittedError):
        draw(search)
    for estimator in (LogisticRegression(), make_pipeline(LogisticRegression())):
        with pytest.raises(TypeError, match=r"must be a BackpropClassifier .* got .*LogisticRegression"):
            draw(estimator)
