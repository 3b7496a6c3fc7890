"""scikit-learn's other hooks: metadata routing and the HTML representation."""

import re

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from support.recorders import ESTIMATORS, assert_same_model, iris, not_converged, small


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@not_converged
@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("kind", ESTIMATORS)
class TestMetadataRouting:
    @staticmethod
    def problem(kind):
        X, y = iris(kind)
        X = 3 * X + 1
        X, X_val, y, y_val = train_test_split(X, y, random_state=0)
        weights = np.linspace(0, 3, len(y)), np.linspace(3, 0, len(y_val))
        return X, y, {"sample_weight": weights[0], "X_val": X_val, "y_val": y_val, "sample_weight_val": weights[1]}

    def test_pipeline_passes_weights_and_the_transformed_validation_set(self, kind):
        X, y, metadata = self.problem(kind)
        mlp = small(kind).set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scale", scaler), ("mlp", mlp)], transform_input=["X_val"]).fit(X, y, **metadata)
        scale = StandardScaler().fit(X).transform
        alone = small(kind).fit(scale(X), y, **{**metadata, "X_val": scale(metadata["X_val"])})
        assert_same_model(pipeline["mlp"], alone)
        assert pipeline["mlp"].validation_scores_ == alone.validation_scores_
        assert pipeline["mlp"].validation_loss_curve_ == alone.validation_loss_curve_

    def test_grid_search_passes_weights_and_the_validation_set(self, kind):
        X, y, metadata = self.problem(kind)
        mlp = small(kind).set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
        mlp.set_score_request(sample_weight=True)
        cv = KFold(2, shuffle=True, random_state=0)
        search = GridSearchCV(mlp, {"alpha": [0.0, 1.0]}, cv=cv, error_score="raise").fit(X, y, **metadata)
        weight = metadata["sample_weight"]
        for alpha, row in zip([0.0, 1.0], range(2), strict=True):
            for fold, (train, test) in enumerate(cv.split(X)):
                fitted = small(kind, alpha=alpha).fit(
                    X[train], y[train], **{**metadata, "sample_weight": weight[train]}
                )
                score = fitted.score(X[test], y[test], weight[test])
                assert_allclose(search.cv_results_[f"split{fold}_test_score"][row], score, rtol=1e-12)
        refitted = small(kind, **search.best_params_).fit(X, y, **metadata)
        assert_same_model(search.best_estimator_, refitted)
        assert search.best_estimator_.validation_scores_ == refitted.validation_scores_

    @pytest.mark.parametrize("name", ["sample_weight", "X_val", "y_val", "sample_weight_val"])
    def test_refuses_metadata_that_were_not_requested(self, kind, name):
        X, y, metadata = self.problem(kind)
        pipeline = Pipeline([("mlp", small(kind))])
        with pytest.raises(UnsetMetadataPassedError, match=name):
            pipeline.fit(X, y, **{name: metadata[name]})

    def test_partial_fit_has_the_same_requests(self, kind):
        mlp = small(kind).set_partial_fit_request(sample_weight=True, X_val="X_test", y_val=False)
        requests = mlp.get_metadata_routing().partial_fit.requests
        assert requests["sample_weight"] is True
        assert requests["X_val"] == "X_test"
        assert requests["y_val"] is False
        assert requests["sample_weight_val"] is None


@not_converged
@pytest.mark.parametrize("kind", ESTIMATORS)
class TestHtml:
    def test_shows_the_parameters_that_were_set_and_links_nowhere(self, kind):
        estimator = small(kind, alpha=0.125)
        for html in (estimator._repr_html_(), estimator.fit(*iris(kind))._repr_html_()):
            assert kind.__name__ in html
            assert re.search(r"alpha(</td>\s*<td class=\"value\">|=)0\.125", html)
            assert 'href="http' not in html

    def test_explains_every_parameter_and_fitted_attribute(self, kind):
        """If there is a page to link to, each parameter and attribute has a tooltip, with text from the docstring."""
        pytest.importorskip("sklearn.utils._repr_html.fitted_attributes", reason="scikit-learn 1.9")
        estimator = small(kind, early_stopping=True).fit(*iris(kind))
        estimator._doc_link_module = "fastbp"
        estimator._doc_link_template = "https://example.org/{estimator_module}.{estimator_name}.html"
        html = estimator._repr_html_()
        assert f"https://example.org/fastbp.{kind.__name__}.html" in html
        attributes = [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]
        explained = re.findall(r'style="position-anchor: --doc-link-(\w+);"', html)
        assert sorted(explained) == sorted([*estimator.get_params(), *attributes])
