"""The parameter `monitor`: early stopping by the validation loss, or by any scorer of scikit-learn."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss, make_scorer, mean_absolute_error

from fastbp import BackpropClassifier
from support.fits import both
from support.networks import KINDS, assert_same_bits, network, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

kinds = pytest.mark.parametrize("kind", KINDS)
ways = pytest.mark.parametrize("way", ["split", "given"])
# Training overfits soon, and tol is 0, so the loss and the scores choose different epochs.
PARAMS: dict[str, Any] = {
    "early_stopping": True,
    "learning_rate_init": 0.02,
    "max_iter": 60,
    "n_iter_no_change": 8,
    "tol": 0.0,
    "alpha": 0.0,
    "validation_fraction": 0.3,
}


def data(kind: str, way: str) -> tuple[Any, dict[str, Any]]:
    X, y = KINDS[kind][1]()
    if way == "split":
        return (X, y), {}
    return (X[:120], y[:120]), {"X_val": X[120:], "y_val": y[120:]}


class TestLoss:
    @ways
    @kinds
    def test_keeps_the_weights_of_the_least_loss(self, kind, way):
        (X, y), given = data(kind, way)
        params = {**PARAMS, "max_iter": 500, "n_iter_no_change": 2, "learning_rate_init": 0.05}
        model = KINDS[kind][0](**params, monitor="loss").fit(X, y, **given)
        best = int(np.argmin(model.validation_loss_curve_)) + 1
        assert model.converged_
        assert model.n_iter_ == best + 3
        shorter = clone(model).set_params(early_stopping=bool(way == "split"), max_iter=best).fit(X, y, **given)
        for a, b in zip(model.coefs_, shorter.coefs_, strict=True):
            assert_array_equal(a, b)
        assert model.best_validation_score_ == model.validation_scores_[best - 1]
        assert model.best_loss_ is None

    def test_stops_elsewhere_than_the_score(self):
        (X, y), given = data("classifier", "given")
        by_score, by_loss = (network(**PARAMS, monitor=m).fit(X, y, **given) for m in ("score", "loss"))
        n = min(by_score.n_iter_, by_loss.n_iter_)
        assert by_score.validation_loss_curve_[:n] == by_loss.validation_loss_curve_[:n]
        a, b = (log_loss(given["y_val"], clf.predict_proba(given["X_val"])) for clf in (by_score, by_loss))
        assert b < a
        assert b == pytest.approx(min(by_loss.validation_loss_curve_))

    @kinds
    def test_tol_is_in_the_unit_of_the_loss(self, kind):
        (X, y), given = data(kind, "given")
        model = KINDS[kind][0](**{**PARAMS, "tol": 1e3}, monitor="loss").fit(X, y, **given)
        assert model.n_iter_ == 1 + PARAMS["n_iter_no_change"] + 1  # the first epoch is always an improvement

    def test_changes_nothing_without_early_stopping(self):
        (X, y), given = data("classifier", "given")
        plain, model = (network(monitor=monitor).fit(X, y, **given) for monitor in ("score", "loss"))
        assert_same_bits(model, plain)
        assert model.best_validation_score_ == plain.best_validation_score_

    def test_says_so(self, capsys):
        (X, y), given = data("classifier", "given")
        network(**PARAMS, monitor="loss", verbose=True).fit(X, y, **given)
        out = capsys.readouterr().out
        assert "Validation loss: " in out
        assert "Validation loss did not improve more than tol=0.000000 for 8 consecutive epochs. Stopping." in out

    def test_partial_fit_stops_as_fit(self):
        (X, y), given = data("classifier", "given")
        whole = network(**PARAMS, monitor="loss", shuffle=False).fit(X, y, **given)
        parts = clone(whole)
        for call in range(1, whole.n_iter_ + 1):
            parts.partial_fit(X, y, classes=[0, 1, 2], **given)
            assert parts.converged_ == (call == whole.n_iter_)
        assert_same_bits(parts, whole)

    def test_a_warm_fit_on_new_data_measures_its_start(self):
        (X, y), given = data("classifier", "given")
        clf = network(**PARAMS, monitor="loss", warm_start=True).fit(X, y, **given)
        given["y_val"] = (given["y_val"] + 1) % 3
        for _ in range(4):
            clf.fit(X, (y + 1) % 3, **given)
        assert clf.score(given["X_val"], given["y_val"]) > 0.75

    def test_without_any_finite_loss_is_an_error(self):
        (X, y), _ = data("classifier", "given")
        clf = network(**PARAMS, monitor="loss", dtype="float32", activation="identity")
        with pytest.raises(ValueError, match="no validation loss was finite"):
            clf.fit(X, y, X_val=1e39 * X, y_val=y)


class TestScorer:
    @ways
    @pytest.mark.parametrize(("kind", "name"), [("classifier", "accuracy"), ("regressor", "r2")])
    def test_of_the_score_gives_the_same_bits(self, kind, name, way):
        (X, y), given = data(kind, way)
        weights = {"sample_weight": np.random.default_rng(0).uniform(0.5, 2, len(y))}
        plain, model = (KINDS[kind][0](**PARAMS, monitor=m).fit(X, y, **weights, **given) for m in ("score", name))
        assert_same_bits(model, plain)
        assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-12)
        assert model.validation_loss_curve_ == plain.validation_loss_curve_

    @ways
    def test_of_the_loss_stops_as_by_the_loss(self, way):
        (X, y), given = data("classifier", way)
        by_loss, model = (network(**PARAMS, monitor=m).fit(X, y, **given) for m in ("loss", "neg_log_loss"))
        assert_same_bits(model, by_loss)
        assert_allclose(model.validation_scores_, -np.array(model.validation_loss_curve_), rtol=1e-9)
        assert model.best_validation_score_ == max(model.validation_scores_)

    @kinds
    def test_may_be_a_callable_and_gets_the_data_and_a_model(self, kind):
        (X, y), given = data(kind, "given")
        seen = []

        def scorer(estimator, X_val, y_val, **metadata):
            assert_array_equal(X_val, given["X_val"])
            assert_array_equal(y_val, given["y_val"])
            assert metadata == {}
            seen.append(estimator.score(X_val, y_val))
            return -len(seen)

        model = KINDS[kind][0](**PARAMS, monitor=scorer).fit(X, y, **given)
        assert model.validation_scores_ == [-1 - k for k in range(model.n_iter_)]
        assert model.n_iter_ == 1 + PARAMS["n_iter_no_change"] + 1
        assert model.score(given["X_val"], given["y_val"]) == seen[0]
        assert len(set(seen)) > 2

    def test_gets_weights_labels_and_no_names(self):
        X, y = problem()
        frame, labels = pd.DataFrame(X).add_prefix("x"), np.array(["a", "b", "c"])[y]
        scorer, weights = make_scorer(accuracy_score), np.random.default_rng(0).uniform(0.5, 2, len(y))
        plain, model = (
            network(**PARAMS, monitor=m, class_weight={"a": 1, "b": 3, "c": 2}).fit(frame, labels, weights)
            for m in ("score", scorer)
        )
        assert_same_bits(model, plain)
        assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-12)
        assert list(model.feature_names_in_) == list(frame)

    def test_reads_sparse_data_and_multilabel_targets(self):
        X, y = problem()
        Y = np.column_stack([y == 0, y != 1]).astype(int)
        form = sparse.csr_array(X)
        plain, model = (network(**PARAMS, monitor=m).fit(form, Y) for m in ("score", "accuracy"))
        assert_same_bits(model, plain)

    def test_is_recorded_without_early_stopping(self):
        (X, y), given = data("regressor", "given")
        scorer = make_scorer(mean_absolute_error, greater_is_better=False)
        model = KINDS["regressor"][0](monitor=scorer).fit(X, y, **given)
        assert_same_bits(model, KINDS["regressor"][0]().fit(X, y))
        assert model.validation_scores_[-1] == pytest.approx(scorer(model, given["X_val"], given["y_val"]))

    def test_that_raises_leaves_the_estimator_as_it_was(self):
        (X, y), given = data("classifier", "given")
        clf = network().fit(X, y)
        before = dict(vars(clf))

        def scorer(estimator, X_val, y_val):
            raise RuntimeError("no score")

        clf.set_params(monitor=scorer)
        with pytest.raises(RuntimeError, match="no score"):
            clf.fit(X, y, **given)
        assert {**vars(clf), "monitor": "score"} == before

    def test_is_not_asked_about_a_model_that_diverged(self):
        (X, y), given = data("classifier", "given")
        model = network(**PARAMS, monitor="accuracy", loss="squared_error", out_activation="identity")
        model.partial_fit(X, y, classes=[0, 1, 2], **given)
        with pytest.warns(Warning, match="best weights so far are kept"):
            model.partial_fit(np.where(np.arange(len(X))[:, None] == 7, 1e200, X), y, **given)
        assert np.isnan(model.validation_scores_[-1])

    def test_a_metric_is_no_scorer(self):
        (X, y), given = data("classifier", "given")
        with pytest.raises(ValueError, match=r"scoring value .* looks like it is a metric function"):
            network(**PARAMS, monitor=accuracy_score).fit(X, y, **given)


class TestParameter:
    @pytest.mark.parametrize("value", ["precision loss", None, 1, ["loss"]])
    @both
    def test_other_values_are_refused_by_name(self, estimator, value):
        X, y = problem()
        with pytest.raises(ValueError, match=r"'monitor' parameter .* must be a str among .* or a callable"):
            estimator(monitor=value).fit(X, y)

    @pytest.mark.parametrize("value", ["loss", "neg_log_loss"])
    def test_survives_clone_and_pickle(self, value):
        X, y = problem()
        clf = network(early_stopping=True, monitor=value).fit(X, y)
        assert clone(clf).monitor == value
        loaded = pickle.loads(pickle.dumps(clf))
        assert_same_bits(loaded, clf)
        assert BackpropClassifier(monitor=value).get_params()["monitor"] == value
