"""Greedy selection agrees with a slow twin, and its costs with the reference and with scikit-learn."""

import warnings

import numpy as np
import pytest
import sklearn.metrics
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor
from fastbp.ensemble.selection import REGRESSION, greedy, log_loss, mean
from fastbp.estimators.regressor import LOSSES
from support import reference
from support.ensembles import KINDS, both, ensemble, greedily
from support.fits import output, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LABELS = "multilabel"


def random_votes(n_members, n=60, width=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(n, width)), list(rng.uniform(size=(n_members, n, width)))


def squared(y):
    return lambda average: float(np.mean((average - y) ** 2))


class TestGreedy:
    @pytest.mark.parametrize("max_picks", [1, 2, 7, 25])
    @pytest.mark.parametrize("n_members", [1, 2, 5, 12])
    def test_picks_what_a_slow_twin_picks(self, n_members, max_picks):
        for seed in range(5):
            y, votes = random_votes(n_members, seed=seed)
            selection = greedy(votes, squared(y), max_picks)
            picks, cost = greedily(votes, squared(y), max_picks)
            assert_array_equal(selection.counts, np.bincount(picks, minlength=n_members))
            assert_allclose(min(selection.costs), cost, rtol=1e-12)
            assert len(selection.costs) == max_picks

    def test_is_never_worse_than_the_best_member(self):
        y, votes = random_votes(9)
        selection = greedy(votes, squared(y), 20)
        assert selection.costs[0] == min(map(squared(y), votes))
        average = np.average(votes, axis=0, weights=selection.counts)
        assert_allclose(squared(y)(average), min(selection.costs), rtol=1e-12)
        assert min(selection.costs) < selection.costs[0]

    def test_of_equal_members_picks_the_first(self):
        y, (one, other) = random_votes(2)
        worse = 1 - y
        assert_array_equal(greedy([worse, one, one, other], squared(one), 3).counts, [0, 1, 0, 0])

    def test_keeps_a_perfect_member_alone(self):
        y, votes = random_votes(4)
        assert_array_equal(greedy([*votes, y], squared(y), 10).counts, [0, 0, 0, 0, 1])

    def test_leaves_the_votes_as_they_were(self):
        y, votes = random_votes(3)
        before = np.array(votes)
        greedy(votes, squared(y), 5)
        assert_array_equal(votes, before)

    def test_never_picks_a_member_whose_cost_is_not_a_number(self):
        y, votes = random_votes(3)
        selection = greedy([np.full_like(y, np.nan), *votes], squared(y), 5)
        assert selection.counts[0] == 0
        assert_array_equal(selection.counts[1:], greedy(votes, squared(y), 5).counts)

    def test_without_a_finite_cost_is_an_error(self):
        _, votes = random_votes(2)
        with pytest.raises(ValueError, match="cost of no member is finite: inf is the least"):
            greedy(votes, lambda average: np.nan, 3)


class TestCosts:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_of_regressors_are_those_of_the_reference_up_to_a_constant(self, loss):
        rng = np.random.default_rng(0)
        z, Y = rng.normal(size=(2, 50, 3))
        options, out = reference.loss_options(loss, 3), "identity"
        if loss in ("poisson", "gamma"):
            Y, out = np.abs(Y) + 0.1, "exp"
        expected = reference.example_costs(z, Y, out_activation=out, loss=loss, options=options)
        found = REGRESSION[loss](np.exp(z) if out == "exp" else z, Y, options)
        least = REGRESSION[loss](Y, Y, options)
        at_least = reference.example_costs(
            np.log(Y) if out == "exp" else Y, Y, out_activation=out, loss=loss, options=options
        )
        assert_allclose(found - least, expected - at_least, rtol=1e-12, atol=1e-14)

    def test_a_count_of_zero_has_a_finite_deviance(self):
        assert_allclose(REGRESSION["poisson"](np.array([[0.5]]), np.zeros((1, 1)), ()), [0.5])

    def test_log_loss_is_that_of_scikit_learn(self):
        rng = np.random.default_rng(0)
        p = rng.dirichlet(np.ones(3), 50)
        p[0] = [1, 0, 0]
        y, weights = rng.integers(3, size=50), rng.uniform(size=50)
        y[0] = 1
        found = mean(log_loss(p[np.arange(50), y][:, np.newaxis]), weights)
        assert_allclose(found, sklearn.metrics.log_loss(y, p, sample_weight=weights), rtol=1e-12)


def classes(kind_of_target):
    X, y = problem(BackpropClassifier)
    if kind_of_target == LABELS:
        return X, np.column_stack([y == 0, y != 1]).astype(int)
    return X, np.array(["b", "a", "c"])[y if kind_of_target == "multiclass" else (y > 0).astype(int)]


class TestFit:
    """The weights of an ensemble are those of the slow twin for the votes on the validation set."""

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("target", ["binary", "multiclass", LABELS])
    def test_by_the_log_loss(self, target, weighted):
        X, y = classes(target)
        weights = np.random.default_rng(0).integers(1, 9, len(y)).astype(float) if weighted else None
        model = ensemble(BackpropEnsembleClassifier, {"max_iter": 30}, selection="greedy", n_members=6)
        model.fit(X, y, weights)
        rows = model.validation_rows_
        truth = y[rows] == 1 if target == LABELS else y[rows][:, np.newaxis] == model.classes_

        def cost(p):
            if target == LABELS:
                costs = [-np.log(np.where(label, p_k, 1 - p_k)).sum() for p_k, label in zip(p, truth, strict=True)]
            else:
                costs = [-np.log(p_k[label]).sum() for p_k, label in zip(p, truth, strict=True)]
            return np.average(costs, weights=None if weights is None else weights[rows])

        votes = [member.predict_proba(X[rows]) for member in model.members_]
        picks, least = greedily(votes, cost, model.max_picks)
        assert_array_equal(model.weights_, np.bincount(picks, minlength=6) / len(picks))
        assert_allclose(min(model.selection_costs_), least, rtol=1e-10)
        assert len(model.selection_costs_) == 32

    @pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "quantile"])
    def test_by_the_loss_of_a_regressor(self, loss):
        X, y = problem(BackpropRegressor)
        member = {"max_iter": 30, "loss": loss}
        if loss == "quantile":
            member["quantile"] = [0.1, 0.5, 0.9]
        y = np.abs(y)
        model = ensemble(BackpropEnsembleRegressor, member, selection="greedy", n_members=6, max_picks=9).fit(X, y)
        rows = model.validation_rows_
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # quantiles cross
            votes = [each.predict(X[rows]).reshape(len(rows), -1) for each in model.members_]
        Y = np.repeat(y[rows][:, np.newaxis], votes[0].shape[1], axis=1)
        out, options = ("exp" if loss == "poisson" else "identity"), (0.1, 0.5, 0.9)

        def cost(a):
            z = np.log(a) if out == "exp" else a
            return reference.example_costs(z, Y, out_activation=out, loss=loss, options=options).mean()

        picks, _ = greedily(votes, cost, 9)
        assert_array_equal(model.weights_, np.bincount(picks, minlength=6) / len(picks))

    @pytest.mark.parametrize(
        ("kind", "scoring"),
        [
            (BackpropEnsembleClassifier, "accuracy"),
            (BackpropEnsembleClassifier, "roc_auc_ovr"),
            (BackpropEnsembleRegressor, "r2"),
            (
                BackpropEnsembleRegressor,
                sklearn.metrics.make_scorer(sklearn.metrics.max_error, greater_is_better=False),
            ),
        ],
    )
    def test_by_a_scorer(self, kind, scoring):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, {"max_iter": 30}, selection="greedy", scoring=scoring, max_picks=6).fit(X, y)
        rows = model.validation_rows_
        metric = {
            "accuracy": lambda p: np.mean(p.argmax(axis=1) == y[rows]),
            "roc_auc_ovr": lambda p: sklearn.metrics.roc_auc_score(y[rows], p, multi_class="ovr"),
            "r2": lambda a: sklearn.metrics.r2_score(y[rows], a),
        }.get(str(scoring), lambda a: -sklearn.metrics.max_error(y[rows], a))
        picks, least = greedily([output(member, X[rows]) for member in model.members_], lambda a: -metric(a), 6)
        assert_array_equal(model.weights_, np.bincount(picks, minlength=4) / len(picks))
        assert_allclose(min(model.selection_costs_), least, rtol=1e-10, atol=1e-12)

    @both
    def test_a_scorer_gets_the_weights_of_the_validation_set(self, kind):
        X, y = problem(KINDS[kind])
        weights, given = np.linspace(0.5, 2, len(y)), []

        def scorer(estimator, X, y, sample_weight=None):
            given.append((X, y, sample_weight))
            return -np.mean(np.abs(np.asarray(output(estimator, X), float)))

        model = ensemble(kind, selection="greedy", scoring=scorer, max_picks=1).fit(X, y, weights)
        rows = model.validation_rows_
        for part, expected in zip(given[-1], (X[rows], y[rows], weights[rows]), strict=True):
            assert_array_equal(part, expected)

    @both
    def test_a_validation_set_of_the_user_is_judged(self, kind):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, {"max_iter": 30}, selection="greedy").fit(X[12:], y[12:], X_val=X[:12], y_val=y[:12])
        scores = [output(member, X[:12]) for member in model.members_]
        if kind is BackpropEnsembleRegressor:
            picks, _ = greedily(scores, lambda a: np.mean((a - y[:12]) ** 2), 32)
            assert_array_equal(model.weights_, np.bincount(picks, minlength=4) / len(picks))
        else:
            picks, _ = greedily(scores, lambda p: -np.mean(np.log(p[np.arange(12), y[:12]])), 32)
            assert_array_equal(model.weights_, np.bincount(picks, minlength=4) / len(picks))

    @both
    def test_members_of_weight_zero_are_not_asked(self, kind):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, {"max_iter": 30}, selection="greedy", max_picks=1).fit(X, y)
        assert np.count_nonzero(model.weights_) == 1
        (best,) = np.flatnonzero(model.weights_)
        for i, member in enumerate(model.members_):
            if i != best:
                del member.coefs_
        assert_array_equal(output(model, X), output(model.members_[best], X))
