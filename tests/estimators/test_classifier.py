"""Promises of BackpropClassifier beyond parity: scikit-learn's checks, outputs and probabilities, state."""

import pickle
from unittest import SkipTest

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp import BackpropClassifier
from support import reference
from support.classifiers import ACTIVATIONS, LOSSES, SOLVERS, iris, outputs, small, targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# NOT_APPLICABLE: scikit-learn's checks that have nothing to check here. Any other skipped check fails, because a skip
# is not a pass.
NOT_APPLICABLE = {
    "check_array_api_input": "scikit-learn leaves it out unless SCIPY_ARRAY_API is set",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
    "check_classifiers_multilabel_output_format_predict_proba": "no predict_proba if outputs are not probabilities",
    "check_classifier_data_not_an_array": "needs pandas",
    "check_sample_weights_pandas_series": "needs pandas",
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        BackpropClassifier(max_iter=100),
        BackpropClassifier(solver="lbfgs", max_iter=50),
        BackpropClassifier(solver="gd", learning_rate_init=0.3),
        BackpropClassifier(solver="sgd", learning_rate_init=0.1, max_iter=30, n_jobs=2),
        BackpropClassifier(activation="gelu", loss="squared_error", out_activation="identity", max_iter=100),
        # softplus, because without biases a network of odd functions cannot prefer a class everywhere
        BackpropClassifier(
            (20,), ["softplus"], solver="gd", loss="euclidean", fit_intercept=False, learning_rate_init=2
        ),
    ]
)
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        name = check.func.__name__
        if name not in NOT_APPLICABLE or ("predict_proba" in name and hasattr(estimator, "predict_proba")):
            pytest.fail(f"skipped: {skipped}")
        raise


def test_as_many_scikit_learn_checks_as_for_mlp_classifier():
    def names(estimator):
        return [check.func.__name__ for _, check in estimator_checks_generator(estimator)]

    ours, theirs = names(BackpropClassifier()), names(MLPClassifier())
    assert len(ours) >= len(theirs)
    assert set(ours) >= set(theirs)


class TestOutputs:
    @pytest.mark.parametrize(
        ("kind", "out_activation", "n_outputs"),
        [("binary", "logistic", 1), ("multiclass", "softmax", 3), ("multilabel", "logistic", 3)],
    )
    def test_log_loss_has_the_outputs_of_scikit_learn(self, kind, out_activation, n_outputs):
        X, y = targets(kind)
        for name in ("auto", out_activation):
            clf = small(out_activation=name).fit(X, y)
            assert clf.out_activation_ == out_activation
            assert clf.n_outputs_ == n_outputs
            assert clf.coefs_[-1].shape == (5, n_outputs)

    @pytest.mark.parametrize(("kind", "n_outputs"), [("binary", 2), ("multiclass", 3), ("multilabel", 3)])
    @pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "log_loss"])
    def test_other_losses_have_one_output_per_class(self, loss, kind, n_outputs):
        X, y = targets(kind)
        clf = small(loss=loss).fit(X, y)
        assert clf.out_activation_ == "logistic"
        assert clf.n_outputs_ == n_outputs
        assert clf.coefs_[-1].shape == (5, n_outputs)
        assert clf.predict_proba(X).shape == (len(y), n_outputs)
        assert clf.predict(X).shape == y.shape

    @pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error", "euclidean"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_single_label_probabilities_are_the_outputs_normalised(self, kind, loss):
        X, y = targets(kind)
        clf = small(loss=loss, activation="tanh", hidden_layer_sizes=(5, 4)).fit(X, y)
        a = outputs(clf, X)
        proba = clf.predict_proba(X)
        assert_allclose(proba, a / a.sum(axis=1, keepdims=True), rtol=1e-12)
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-14)
        assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-12)
        assert_array_equal(clf.predict(X), clf.classes_[a.argmax(axis=1)])
        assert clf.score(X, y) == np.mean(clf.predict(X) == y)

    @pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy", "squared_error"])
    def test_multilabel_probabilities_are_the_outputs_as_they_are(self, loss):
        X, y = targets("multilabel")
        clf = small(loss=loss, activation="tanh", max_iter=30, learning_rate_init=0.05).fit(X, y)
        a = outputs(clf, X)
        assert_allclose(clf.predict_proba(X), a, rtol=1e-12)
        assert_array_equal(clf.predict(X), (a >= 0.5).astype(int))

    def test_softmax_probabilities_are_exact(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        assert_allclose(clf.predict_proba(X), outputs(clf, X), rtol=1e-12)

    def test_probabilities_are_uniform_where_all_outputs_are_zero(self):
        X, y = iris()
        clf = small(loss="squared_error").fit(X, y)
        clf.coefs_[-1][:] = 0.0
        clf.intercepts_[-1][:] = -2000.0
        assert_array_equal(clf.predict_proba(X), np.full((len(y), 3), 1 / 3))
        assert_allclose(clf.predict_log_proba(X), np.log(1 / 3))
        assert_array_equal(clf.predict(X), np.zeros(len(y)))

    def test_label_is_present_from_one_half_on(self):
        X, y = targets("multilabel")
        clf = small(loss="binary_cross_entropy").fit(X, y)
        clf.coefs_[-1][:] = 0.0
        clf.intercepts_[-1][:] = [0.0, 1e-9, -1e-9]
        assert_array_equal(clf.predict(X), np.tile([1, 1, 0], (len(y), 1)))

    @pytest.mark.parametrize("out_activation", [name for name in ACTIVATIONS if name != "logistic"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_an_output_that_is_not_a_probability_gives_no_probabilities(self, kind, out_activation):
        X, y = targets(kind)
        clf = small(loss="squared_error", out_activation=out_activation)
        for fitted in (clf, clone(clf).fit(X, y)):
            for method in ("predict_proba", "predict_log_proba"):
                assert not hasattr(fitted, method)
                with pytest.raises(AttributeError, match=method):
                    getattr(fitted, method)
        assert set(np.unique(clf.fit(X, y).predict(X))) <= set(np.unique(y))

    @pytest.mark.parametrize("out_activation", ["identity", "tanh"])
    def test_predict_is_the_argmax_or_one_half_for_any_output(self, out_activation):
        for kind in ("binary", "multiclass", "multilabel"):
            X, y = targets(kind)
            clf = small(loss="mean_squared_error", out_activation=out_activation, activation="tanh").fit(X, y)
            a = outputs(clf, X)
            expected = (a >= 0.5).astype(int) if kind == "multilabel" else clf.classes_[a.argmax(axis=1)]
            assert_array_equal(clf.predict(X), expected)

    def test_predict_proba_exists_before_fit_if_it_exists_after(self):
        assert hasattr(small(), "predict_proba")
        assert hasattr(small(loss="euclidean"), "predict_log_proba")

    def test_log_probabilities_of_nearly_certain_predictions(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        clf.coefs_[-1] *= 100.0
        z = np.tanh(X @ clf.coefs_[0] + clf.intercepts_[0]) @ clf.coefs_[-1] + clf.intercepts_[-1]
        assert np.ptp(z, axis=1).max() < 700  # so that no probability is zero
        assert_allclose(clf.predict_log_proba(X), log_softmax(z, axis=1), rtol=1e-9, atol=1e-15)


class TestState:
    def test_clone_and_parameters_round_trip(self):
        params = {"hidden_layer_sizes": [6, 5], "activation": ["tanh", "relu"], "dtype": "float32", "n_jobs": 1}
        clf = BackpropClassifier(**params)
        assert clf.get_params().items() >= params.items()
        assert clone(clf).get_params() == clf.get_params()
        assert BackpropClassifier().set_params(**params).get_params() == clf.get_params()
        with pytest.raises(ValueError, match="drop_out"):
            clf.set_params(drop_out=0.5)

    def test_fit_leaves_parameters_and_data_alone(self):
        X, y = iris()
        weight = np.ones(len(y))
        clf = small(activation=["tanh"])
        before = [X.copy(), y.copy(), weight.copy(), dict(clf.get_params())]
        clf.fit(X, y, sample_weight=weight)
        for array, copy in zip([X, y, weight], before, strict=False):
            assert_array_equal(array, copy)
        assert clf.get_params() == before[-1]

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_pickle_round_trip(self, solver):
        X, y = iris()
        clf = small(solver=solver).fit(X, y)
        copy = pickle.loads(pickle.dumps(clf))
        assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
        assert copy.get_params() == clf.get_params()

    @pytest.mark.parametrize("changes", [{}, {"activation": "tanh"}])  # tanh makes another network with the same shape
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_pickle_keeps_the_state_of_the_optimiser(self, solver, changes):
        X, y = iris()
        clf = small(solver=solver).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
        copy = pickle.loads(pickle.dumps(clf))
        assert len(copy._optimizer_state.moment_1) == sum(
            w.size for w in clf.coefs_ + clf.intercepts_
        )  # without padding
        for estimator in (clf, copy):
            estimator.set_params(**changes).partial_fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, copy.coefs_ + copy.intercepts_, strict=True):
            assert_array_equal(a, b)

    def test_html_repr(self):
        X, y = iris()
        for clf in (small(loss="euclidean"), small(loss="euclidean").fit(X, y)):
            html = clf._repr_html_()
            assert "BackpropClassifier" in html
            assert "euclidean" in html
        assert repr(small(alpha=0.5)).startswith("BackpropClassifier(alpha=0.5")

    def test_edited_weights_are_the_ones_that_predict(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        clf.coefs_[0][1] = 0.0  # in place: the second feature is pruned
        assert_allclose(clf.predict_proba(X), outputs(clf, X), rtol=1e-12)
        pruned = X.copy()
        pruned[:, 1] = 1e3
        assert_array_equal(clf.predict_proba(pruned), clf.predict_proba(X))

        clf.intercepts_ = [clf.intercepts_[0], np.array([0.0, 0.0, 100.0])]  # a new list replaces the old one
        assert_array_equal(clf.predict(X), np.full(len(y), 2))

    def test_edited_weights_are_the_ones_that_partial_fit_continues_from(self):
        X, y = iris()
        clf = small(solver="sgd", learning_rate_init=1e-30, momentum=0.0, alpha=0.0).fit(X, y)
        clf.coefs_[0][1] = 0.25
        clf.intercepts_[1] = np.array([1.0, 2.0, 3.0])
        clf.partial_fit(X, y)
        assert_array_equal(clf.coefs_[0][1], np.full(5, 0.25))
        assert_array_equal(clf.intercepts_[1], [1.0, 2.0, 3.0])

    def test_weights_handed_out_by_one_fit_survive_the_next(self):
        X, y = iris()
        clf = small().fit(X, y)
        kept = clf.coefs_[0]
        copy = kept.copy()
        clf.fit(X, 2 - y)
        assert_array_equal(kept, copy)

    def test_works_in_a_pipeline_and_a_grid_search(self):
        X, y = iris()
        search = GridSearchCV(make_pipeline(StandardScaler(), small()), {"backpropclassifier__alpha": [0.0, 1.0]}, cv=2)
        assert search.fit(X, y).predict(X).shape == y.shape

    def test_predict_takes_lists_and_any_dtype(self):
        X, y = iris()
        X = np.round(4 * X)
        clf = small().fit(X, y)
        for other in (X.tolist(), X.astype(np.float32), X.astype(np.int8), X.astype(">f8")):
            assert_array_equal(clf.predict(other), clf.predict(X))

    def test_multilabel_of_generated_data(self):
        X, y = make_multilabel_classification(n_samples=60, n_features=6, n_classes=4, random_state=0)
        clf = small(n_iter_no_change=np.inf).fit(X, y)
        assert_array_equal(clf.classes_, np.arange(4))
        assert clf.predict(X).shape == (60, 4)
        assert 0.0 <= clf.score(X, y) <= 1.0


class TestHiddenActivations:
    """hidden_activations equals the forward pass of the reference."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_are_those_of_the_forward_pass_over_several_chunks(self, dtype, container):
        X, y = iris()
        clf = small(hidden_layer_sizes=(7, 19), activation=["tanh", "elu"], dtype=dtype, max_iter=2)
        clf.fit(X, y)
        rows = np.random.default_rng(0).normal(size=(2500, X.shape[1])).astype(dtype)
        _, *expected, output = reference.forward(
            rows, clf.coefs_, clf.intercepts_, activation=["tanh", "elu"], out_activation="softmax"
        )
        found = clf.hidden_activations(container(rows))
        assert [a.shape for a in found] == [(2500, 7), (2500, 19)]
        tolerance = 2e-5 if dtype == "float32" else 1e-13
        for a, e in zip(found, expected, strict=True):
            assert a.dtype == dtype
            assert_allclose(a, e, rtol=tolerance, atol=tolerance)
        assert_allclose(clf.predict_proba(rows), output, rtol=tolerance, atol=tolerance)

    def test_are_none_without_hidden_layers(self):
        X, y = iris()
        assert small(hidden_layer_sizes=(), solver="lbfgs", max_iter=200).fit(X, y).hidden_activations(X) == []

    def test_need_a_fit_and_the_features_of_it(self):
        X, y = iris()
        with pytest.raises(NotFittedError):
            small().hidden_activations(X)
        clf = small(solver="lbfgs", max_iter=500, alpha=1).fit(X, y)
        with pytest.raises(ValueError, match="X has 3 features, but BackpropClassifier is expecting 4"):
            clf.hidden_activations(X[:, :3])

    def test_beyond_the_dtype_of_the_model_are_refused(self):
        X, y = iris()
        clf = small(dtype="float32", activation="identity", solver="lbfgs").fit(X, y)
        for container in (np.asarray, sparse.csr_array):
            with pytest.raises(ValueError, match="X contains a value too large for dtype"):
                clf.hidden_activations(container(X * 1e39))


def test_subclasses_may_have_parameters_of_their_own():
    class Narrow(BackpropClassifier):
        def __init__(self, hidden_layer_sizes=(5,), factor=2):
            super().__init__(hidden_layer_sizes=hidden_layer_sizes, max_iter=3)
            self.factor = factor

    X, y = iris()
    clf = clone(Narrow(factor=3)).fit(X, y)
    assert clf.get_params() == {"hidden_layer_sizes": (5,), "factor": 3}
    assert clf.n_iter_ == 3


@pytest.mark.parametrize("pair", [(0, 5), (0, -1)])
def test_a_multilabel_indicator_may_have_any_number_for_yes(pair):
    X, Y = targets("multilabel")
    for params in ({}, {"class_weight": "balanced"}):
        clf, plain = (small(**params).fit(X, y, X_val=X, y_val=y) for y in (np.array(pair)[Y], Y))
        assert_array_equal(clf.coefs_[0], plain.coefs_[0])
        assert clf.validation_scores_ == plain.validation_scores_
