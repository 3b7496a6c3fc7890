"""A validation set that a user passes: X_val, y_val and sample_weight_val."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from support import reference
from support.networks import KINDS, assert_same_bits, network, problem, regression_network, regression_problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestValidationSet:
    """X_val, y_val and sample_weight_val."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_rows_of_the_split_give_the_training_of_the_split(self, weighted, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
        params = {"solver": solver, "learning_rate_init": 0.01, "max_iter": 40, "n_iter_no_change": 3, "tol": 0.02}
        estimator = make(early_stopping=True, validation_fraction=0.25, shuffle=False, batch_size=32, **params)
        split = clone(estimator).fit(X, y, sample_weight=weight)

        state = np.random.RandomState(0)
        state.uniform(size=sum(array.size for array in split.coefs_ + split.intercepts_))  # the initial weights
        rows, rows_val = train_test_split(np.arange(len(y)), random_state=state, test_size=0.25)
        weights = {"sample_weight": weight[rows], "sample_weight_val": weight[rows_val]} if weighted else {}
        given = clone(estimator).fit(X[rows], y[rows], X_val=X[rows_val], y_val=y[rows_val], **weights)
        assert 3 < split.n_iter_ < 40
        assert_same_bits(given, split)
        assert given.n_iter_ == split.n_iter_
        assert given.validation_scores_ == split.validation_scores_
        assert given.validation_loss_curve_ == split.validation_loss_curve_
        assert given.best_validation_score_ == split.best_validation_score_
        assert given.converged_
        assert split.converged_

    @pytest.mark.parametrize("kind", KINDS)
    def test_without_early_stopping_it_is_recorded_and_changes_nothing(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        plain = make().fit(X, y)
        given = make().fit(X, y, X_val=X[:30], y_val=y[:30])
        assert_same_bits(given, plain)
        assert given.loss_curve_ == plain.loss_curve_
        assert given.best_loss_ == plain.best_loss_
        assert len(given.validation_scores_) == len(given.validation_loss_curve_) == given.n_iter_
        assert given.best_validation_score_ == max(given.validation_scores_)
        assert plain.validation_scores_ is plain.validation_loss_curve_ is plain.best_validation_score_ is None

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(
        ("kind", "loss", "out_activation"),
        [
            ("multiclass", "log_loss", "softmax"),
            ("binary", "log_loss", "logistic"),
            ("multilabel", "binary_cross_entropy", "logistic"),
            ("multiclass", "euclidean", "tanh"),
            ("numbers", "squared_error", "identity"),
            ("numbers", "poisson", "exp"),
        ],
    )
    def test_its_loss_is_the_mean_cost_without_l2_and_its_score_that_of_the_weights(
        self, kind, loss, out_activation, weighted
    ):
        if kind == "numbers":
            make, (X, y) = regression_network, regression_problem()
            Y = y
        else:
            make, (X, y) = network, problem()
            y = {"multiclass": y, "binary": y == 1, "multilabel": np.column_stack([y == 0, y != 1])}[kind].astype(int)
            Y = {"multiclass": np.eye(3)[y], "binary": y[:, np.newaxis]}[kind] if y.ndim == 1 else y
        train, val = slice(0, 150), slice(150, None)
        weight = np.random.default_rng(1).uniform(0, 2, 50) if weighted else None
        params = {"loss": loss, "out_activation": out_activation, "activation": "tanh", "alpha": 1.0}
        losses, scores = [], []
        for epochs in (1, 2, 3):
            fitted = make(max_iter=epochs, **params)
            fitted.fit(X[train], y[train], X_val=X[val], y_val=y[val], sample_weight_val=weight)
            cost, _, _ = reference.loss_and_gradient(
                X[val],
                Y[val].astype(float),
                fitted.coefs_,
                fitted.intercepts_,
                activation="tanh",
                out_activation=out_activation,
                loss=loss,
                sample_weight=weight,
            )
            losses.append(cost)
            scores.append(fitted.score(X[val], y[val], sample_weight=weight))
        assert_allclose(fitted.validation_loss_curve_, losses, rtol=1e-12)
        assert_allclose(fitted.validation_scores_, scores, rtol=1e-12)

    @pytest.mark.parametrize("container", [sparse.csr_array, np.asfortranarray, np.ndarray.tolist])
    def test_its_container_does_not_matter(self, container):
        X, y = problem()
        X_val, y_val = X[:40], y[:40]
        clf = network(early_stopping=True)
        plain = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
        other = clone(clf).fit(X, y, X_val=container(X_val), y_val=y_val.tolist())
        assert_same_bits(other, plain)
        assert other.validation_loss_curve_ == plain.validation_loss_curve_

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_partial_fit_stops_early_as_fit_does(self, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        X_val, y_val = X[150:], y[150:]
        # tol is 0, so that the last scores are below the best one
        params = {"solver": solver, "learning_rate_init": 0.05, "n_iter_no_change": 3, "tol": 0.0, "max_iter": 300}
        estimator = make(early_stopping=True, shuffle=False, batch_size=32, **params)
        whole = clone(estimator).fit(X[:150], y[:150], X_val=X_val, y_val=y_val)
        assert whole.converged_
        steps, classes = clone(estimator), {"classes": [0, 1, 2]} if kind == "classifier" else {}
        for call in range(1, whole.n_iter_ + 1):
            steps.partial_fit(X[:150], y[:150], X_val=X_val, y_val=y_val, **classes)
            assert steps.converged_ == (call == whole.n_iter_)
            # Until training has converged, partial_fit keeps the weights that it has just trained.
            expected = max(steps.validation_scores_) if steps.converged_ else steps.validation_scores_[-1]
            assert steps.score(X_val, y_val) == pytest.approx(expected, rel=1e-12)
        assert_same_bits(steps, whole)
        assert steps.validation_scores_ == whole.validation_scores_
        assert steps.validation_loss_curve_ == whole.validation_loss_curve_
        assert steps.validation_scores_[-1] < max(steps.validation_scores_)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"X_val": True}, "X_val is provided, but y_val was not provided"),
            ({"y_val": True}, "y_val is provided, but X_val was not provided"),
            ({"weight": True}, "sample_weight_val is provided, but X_val and y_val were not provided"),
        ],
        ids=str,
    )
    def test_half_of_a_validation_set_is_refused(self, given, message, method, kind):
        make, load = KINDS[kind]
        X, y = load()
        values = {"X_val": X[:30], "y_val": y[:30], "weight": np.ones(30)}
        given = {name.replace("weight", "sample_weight_val"): values[name] for name in given}
        if kind == "classifier" and method == "partial_fit":
            given["classes"] = [0, 1, 2]
        with pytest.raises(ValueError, match=message):
            getattr(make(), method)(X, y, **given)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_validation_set_that_does_not_go_with_the_training_set_is_refused(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        X_val, y_val = X[:30], y[:30]
        for bad, message in (
            ({"X_val": X_val[:, :4]}, "X has 4 features, but Backprop.* is expecting 10 features"),
            ({"y_val": y_val[:-1]}, r"inconsistent numbers of samples: \[30, 29\]"),
            ({"X_val": X_val[:1], "y_val": y_val[:1]}, "validation set is too small. X_val has 1 rows"),
            ({"X_val": np.full_like(X_val, np.nan)}, "Input X contains NaN"),
            ({"sample_weight_val": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(30,\)"),
            ({"sample_weight_val": np.zeros(30)}, r"(?i)sample.weight"),
            ({"y_val": np.column_stack([y_val, y_val]) > 0}, r"y_val has shape \(30, \d\)"),
        ):
            with pytest.raises(ValueError, match=message):
                make().fit(X, y, **{"X_val": X_val, "y_val": y_val, **bad})

    def test_classes_that_training_lacks_are_refused(self):
        X, y = problem()
        names = np.array(["a", "b", "c"])[y]
        with pytest.raises(ValueError, match=r"y_val has classes \['c'\] that the fit did not have"):
            network().fit(X[y < 2], names[y < 2], X_val=X, y_val=names)
        with pytest.raises(ValueError, match=r"y_val has classes \[3\] that the fit did not have"):
            network().partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y + 1)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_solvers_that_do_not_read_a_validation_set_refuse_it(self, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        with pytest.raises(ValueError, match=f"solvers sgd and adam only, got solver='{solver}'"):
            make(solver=solver).fit(X, y, X_val=X, y_val=y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_partial_fit_with_early_stopping_needs_it(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        classes = {"classes": [0, 1, 2]} if kind == "classifier" else {}
        with pytest.raises(ValueError, match=r"partial_fit does not support early_stopping=True.*Pass X_val and y_val"):
            make(early_stopping=True).partial_fit(X, y, **classes)
