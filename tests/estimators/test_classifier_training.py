"""How BackpropClassifier trains: every solver, loss and activation, interrupts, and the state kept for the next fit."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp.kernels import step
from fastbp.training.observer import watch
from support.classifiers import ACTIVATIONS, LOSSES, SOLVERS, iris, small, targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# TEXTBOOK: the documents' five published descriptions, with learning rates and layer sizes for this problem
TEXTBOOK: dict[str, dict[str, Any]] = {
    "closed form": {"activation": "logistic", "loss": "binary_cross_entropy", "alpha": 0, "learning_rate_init": 0.01},
    "accumulator": {
        "activation": "logistic",
        "loss": "binary_cross_entropy",
        "alpha": 0.1,
        "solver": "gd",
        "learning_rate_init": 0.5,
    },
    "chain of layers": {
        "hidden_layer_sizes": (6, 5),
        "activation": ["tanh", "softplus"],
        "out_activation": "logistic",
        "loss": "mean_squared_error",
        "fit_intercept": False,
        "alpha": 0,
        "learning_rate_init": 0.01,
    },
    "stationary point": {
        "hidden_layer_sizes": (6, 5),
        "activation": ["tanh", "logistic"],
        "out_activation": "logistic",
        "loss": "euclidean",
        "solver": "gd",
        "learning_rate_init": 1.0,
        "gtol": 1e-3,
        "alpha": 0,
    },
    "2-3-2 network": {
        "hidden_layer_sizes": (3,),
        "activation": "logistic",
        "loss": "squared_error",
        "solver": "sgd",
        "batch_size": 1,
        "momentum": 0,
        "alpha": 0,
        "learning_rate_init": 0.1,
    },
}


class TestTraining:
    @pytest.mark.parametrize("row", TEXTBOOK)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_textbook_configuration_learns(self, row, kind):
        X, y = targets(kind)
        params = TEXTBOOK[row]
        first = small(**{**params, "max_iter": 1}).fit(X, y)
        clf = small(**{**params, "max_iter": 300}).fit(X, y)
        assert clf.loss_ < 0.6 * first.loss_
        assert clf.score(X, y) > 0.8
        assert_allclose(clf.predict_proba(X).sum(axis=1) if kind != "multilabel" else 1.0, 1.0, rtol=1e-12)

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_solver_minimises_every_loss(self, solver, loss):
        X, y = iris()
        params = {"solver": solver, "loss": loss, "activation": "tanh", "learning_rate_init": 0.05}
        first = small(**params, max_iter=1).fit(X, y)
        assert small(**params, max_iter=60).fit(X, y).loss_ < first.loss_

    @pytest.mark.parametrize("out_activation", ACTIVATIONS)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_activation_learns_hidden_and_as_output(self, activation, out_activation):
        X, y = iris()
        params = {
            "activation": activation,
            "out_activation": out_activation,
            "loss": "squared_error",
            "learning_rate_init": 0.01,
        }
        first = small(**params, max_iter=1).fit(X, y)
        assert small(**params, max_iter=60).fit(X, y).loss_ < first.loss_

    def test_activations_per_layer(self):
        X, y = iris()
        one = small(hidden_layer_sizes=(6, 5), activation="tanh").fit(X, y)
        listed = small(hidden_layer_sizes=(6, 5), activation=["tanh", "tanh"]).fit(X, y)
        mixed = small(hidden_layer_sizes=(6, 5), activation=("tanh", "relu")).fit(X, y)
        assert_array_equal(one.coefs_[0], listed.coefs_[0])
        assert not np.array_equal(one.coefs_[0], mixed.coefs_[0])
        h = np.maximum(np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1] + mixed.intercepts_[1], 0)
        z = h @ mixed.coefs_[2] + mixed.intercepts_[2]
        assert_allclose(mixed.predict_proba(X), softmax(z, axis=1), rtol=1e-12)

    @pytest.mark.parametrize(
        ("sizes", "shapes"),
        [
            ((), [(4, 3)]),
            ([], [(4, 3)]),
            (6, [(4, 6), (6, 3)]),
            (np.int64(6), [(4, 6), (6, 3)]),
            ([6, 5], [(4, 6), (6, 5), (5, 3)]),
            (np.array([6, 5]), [(4, 6), (6, 5), (5, 3)]),
            ((1,), [(4, 1), (1, 3)]),
        ],
        ids=str,
    )
    def test_hidden_layer_sizes(self, sizes, shapes):
        X, y = iris()
        clf = small(hidden_layer_sizes=sizes).fit(X, y)
        assert clf.n_layers_ == len(shapes) + 1
        assert [coef.shape for coef in clf.coefs_] == shapes
        assert [intercept.shape for intercept in clf.intercepts_] == [shape[1:] for shape in shapes]

    def test_no_hidden_layer_takes_an_empty_list_of_activations(self):
        X, y = iris()
        clf = small(hidden_layer_sizes=(), activation=[]).fit(X, y)
        assert_array_equal(clf.coefs_[0].shape, (4, 3))

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize(
        ("dtype", "given", "expected"),
        [
            ("auto", "float32", "float32"),
            ("auto", "float64", "float64"),
            ("auto", "int64", "float64"),
            ("float32", "float64", "float32"),
            ("float64", "float32", "float64"),
        ],
    )
    def test_dtype(self, dtype, given, expected, solver):
        X, y = iris()
        X = (10 * X).astype(given)
        clf = small(dtype=dtype, solver=solver).fit(X, y)
        assert {array.dtype for array in clf.coefs_ + clf.intercepts_} == {np.dtype(expected)}
        assert clf.predict_proba(X.astype(expected)).dtype == expected

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_without_intercepts(self, solver):
        X, y = iris()
        clf = small(fit_intercept=False, solver=solver, loss="squared_error", out_activation="tanh").fit(X, y)
        assert [intercept.shape for intercept in clf.intercepts_] == [(5,), (3,)]
        assert not any(intercept.any() for intercept in clf.intercepts_)
        # without biases relu and tanh map the origin to itself, so no class wins there, and argmax takes the first
        assert_array_equal(clf.predict(np.zeros((1, 4))), clf.classes_[:1])

    @pytest.mark.parametrize("n_jobs", [None, 1, 2, 1000, -1, -2, -1000])
    def test_n_jobs_does_not_change_the_model(self, n_jobs):
        X, y = iris()
        assert_array_equal(small(n_jobs=n_jobs).fit(X, y).coefs_[0], small().fit(X, y).coefs_[0])

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_a_batch_whose_weights_are_all_zero_is_skipped(self, solver):
        # Nothing changes in such a batch, not even momentum or adam's clock, as if its rows were not there.
        X, y = iris()
        X, y = X[::5], y[::5]
        weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
        skipped = np.r_[5:10, 20:25]
        weight[skipped] = 0.0
        kept = np.setdiff1d(np.arange(len(y)), skipped)
        clf = small(solver=solver, batch_size=5, shuffle=False)
        with_batch = clone(clf).fit(X, y, sample_weight=weight)
        without = clone(clf).fit(X[kept], y[kept], sample_weight=weight[kept])
        assert np.isfinite(with_batch.loss_curve_).all()
        for a, b in zip(with_batch.coefs_ + with_batch.intercepts_, without.coefs_ + without.intercepts_, strict=True):
            assert_array_equal(a, b)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_single_rows_of_weight_zero_leave_no_nan(self, solver):
        X, y = iris()
        weight = np.tile([0.0, 0.0, 1.0], 50)
        clf = small(solver=solver, batch_size=1).fit(X, y, sample_weight=weight)
        assert np.isfinite(clf.loss_curve_).all()
        assert all(np.isfinite(coef).all() for coef in clf.coefs_)

    def test_gd_stops_before_the_update_at_a_small_gradient(self):
        X, y = iris()
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        stopped = small(solver="gd", gtol=1e9).fit(X, y)
        for a, b in zip(start.coefs_ + start.intercepts_, stopped.coefs_ + stopped.intercepts_, strict=True):
            assert_array_equal(a, b)

    @pytest.mark.filterwarnings("error")
    def test_gd_warns_of_its_iteration_limit_only(self):
        X, y = iris()
        params = {"solver": "gd", "learning_rate_init": 0.5, "activation": "tanh", "alpha": 1.0}
        clf = small(**params, gtol=1e-2, max_iter=2000).fit(X, y)
        assert 1 < clf.n_iter_ < 2000
        with pytest.warns(ConvergenceWarning):
            clf = small(**params, gtol=0.0, max_iter=3).fit(X, y)
        assert clf.n_iter_ == 3

    def test_gd_ignores_the_parameters_of_the_stochastic_solvers(self):
        X, y = iris()
        plain = small(solver="gd", learning_rate_init=0.1).fit(X, y)
        other = small(
            solver="gd",
            learning_rate_init=0.1,
            tol=10.0,
            n_iter_no_change=1,
            momentum=0.1,
            nesterovs_momentum=False,
            learning_rate="invscaling",
            power_t=2.0,
            batch_size=7,
            shuffle=False,
        ).fit(X, y)
        assert other.n_iter_ == plain.n_iter_ == 5
        assert_array_equal(plain.coefs_[0], other.coefs_[0])

    def test_fit_starts_anew_and_warm_start_continues(self):
        X, y = iris()
        clf = small(learning_rate_init=0.01).fit(X, y)
        first = clf.coefs_[0].copy()
        assert_array_equal(clf.fit(X, y).coefs_[0], first)
        assert len(clf.loss_curve_) == 5

        clf.set_params(warm_start=True).fit(X, y)
        assert len(clf.loss_curve_) == 10
        assert clf.loss_curve_[5] < clf.loss_curve_[0]
        assert clf.n_iter_ == 5

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_warm_start_with_early_stopping_keeps_weights_that_nothing_improves_on(self, solver):
        # scikit-learn's MLP returns the last weights here. Its second fit trains the very arrays that hold the best
        # weights.
        X, y = targets("binary")
        clf = small(solver=solver, early_stopping=True, warm_start=True, max_iter=60, learning_rate_init=0.1).fit(X, y)
        assert clf.best_validation_score_ == 1.0
        best = [array.copy() for array in clf.coefs_ + clf.intercepts_]
        clf.fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, best, strict=True):
            assert_array_equal(a, b)

    def test_warm_start_of_gd_goes_on_where_it_stopped(self):
        X, y = iris()
        clf = small(solver="gd", learning_rate_init=0.1, warm_start=True)
        clf.fit(X, y).fit(X, y)
        whole = small(solver="gd", learning_rate_init=0.1, max_iter=10).fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, whole.coefs_ + whole.intercepts_, strict=True):
            assert_array_equal(a, b)

    def test_warm_start_of_lbfgs_goes_on_where_it_stopped(self):
        X, y = iris()
        clf = small(solver="lbfgs", warm_start=True)
        first = clf.fit(X, y).loss_
        assert clf.fit(X, y).loss_ < first

    @pytest.mark.parametrize("verbose", [False, True])
    def test_verbose_prints_the_loss(self, verbose, capsys):
        X, y = iris()
        small(verbose=verbose).fit(X, y)
        assert ("loss" in capsys.readouterr().out) == verbose


class TestInterrupt:
    @staticmethod
    def interrupt(epoch, max_iter, loss):
        if epoch == 3:
            raise KeyboardInterrupt

    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
    def test_keeps_the_fitted_state(self, solver):
        X, y = iris()
        params = {"solver": solver, "learning_rate_init": 0.01}
        with watch(self.interrupt), pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(**params, max_iter=50).fit(X, y)
        # The interrupt comes after three epochs, so the model equals that of a fit of three epochs.
        whole = small(**params, max_iter=3).fit(X, y)
        assert clf.n_iter_ == 3
        for a, b in zip(clf.coefs_ + clf.intercepts_, whole.coefs_ + whole.intercepts_, strict=True):
            assert_array_equal(a, b)
        assert_array_equal(clf.predict(X), whole.predict(X))

    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
    def test_in_the_first_epoch_keeps_the_initial_weights(self, solver, monkeypatch):
        def interrupted(*args):
            raise KeyboardInterrupt

        X, y = iris()
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        monkeypatch.setattr(step, "train", interrupted)
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(solver=solver, n_jobs=1).fit(X, y)
        assert_array_equal(clf.predict_proba(X), start.predict_proba(X))

    def test_keeps_the_best_weights_of_early_stopping(self):
        X, y = iris()
        with watch(self.interrupt), pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(early_stopping=True, max_iter=50).fit(X, y)
        assert len(clf.validation_scores_) == 3
        assert clf.best_validation_score_ == max(clf.validation_scores_)
        assert clf.predict(X).shape == y.shape

    def test_watch_ends_with_its_block_and_sees_every_epoch(self):
        X, y = iris()
        seen = []
        with watch(lambda *event: seen.append(event)):
            clf = small().fit(X, y)
        small().fit(X, y)
        assert [(epoch, max_iter) for epoch, max_iter, _ in seen] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
        assert_allclose([loss for _, _, loss in seen], clf.loss_curve_)


class TestEarlyStoppingAcrossCalls:
    """Training goes on from the last weights, while the best ones are kept aside."""

    @staticmethod
    def halves():
        X, y = iris()
        return X[::2], y[::2], X[1::2], y[1::2]

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_warm_fits_of_one_epoch_go_on_after_one_without_improvement(self, solver):
        X, y, X_val, y_val = self.halves()
        params = {"solver": solver, "learning_rate_init": 0.05, "momentum": 0.0, "shuffle": False}
        clf = small(early_stopping=True, warm_start=True, max_iter=1, **params)
        losses = [clf.fit(X, y, X_val=X_val, y_val=y_val).loss_ for _ in range(40)]
        assert min(clf.validation_scores_[1:]) < clf.best_validation_score_
        assert len(set(losses)) == 40
        assert losses[-1] < 0.6 * losses[0]
        assert clf.score(X_val, y_val) == clf.best_validation_score_ == max(clf.validation_scores_) > 0.7

    def test_warm_fits_of_plain_sgd_are_one_long_fit(self):
        X, y, X_val, y_val = self.halves()
        params = {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0, "shuffle": False}
        stopper = small(early_stopping=True, n_iter_no_change=100, **params)
        whole = clone(stopper).set_params(max_iter=60).fit(X, y, X_val=X_val, y_val=y_val)
        parts = clone(stopper).set_params(max_iter=6, warm_start=True)
        for _ in range(10):
            parts.fit(X, y, X_val=X_val, y_val=y_val)
        assert parts.loss_curve_ == whole.loss_curve_
        assert parts.validation_scores_ == whole.validation_scores_
        for a, b in zip(parts.coefs_ + parts.intercepts_, whole.coefs_ + whole.intercepts_, strict=True):
            assert_array_equal(a, b)

    def test_a_warm_fit_has_its_whole_patience(self):
        X, y, X_val, y_val = self.halves()
        clf = small(early_stopping=True, warm_start=True, n_iter_no_change=3, tol=1.0, max_iter=50)
        for _ in range(3):
            clf.fit(X, y, X_val=X_val, y_val=y_val)
            assert clf.converged_
            assert clf.n_iter_ in (4, 5)  # the first score of all is always an improvement

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_new_data_are_learned_and_measured(self, method):
        X, y, X_val, y_val = self.halves()
        clf = small(early_stopping=True, warm_start=True, learning_rate_init=0.02, max_iter=60, n_iter_no_change=20)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        assert clf.best_validation_score_ > 0.9
        n = len(clf.validation_scores_)
        other, other_val = (y + 1) % 3, (y_val + 1) % 3
        start = clf.score(X_val, other_val)
        for _ in range(5 if method == "fit" else 300):
            getattr(clf, method)(X, other, X_val=X_val, y_val=other_val)
            assert clf.best_validation_score_ == max(start, *clf.validation_scores_[n:])
        assert clf.score(X_val, other_val) > 0.9

    def test_a_starting_point_that_nothing_improves_on_is_kept(self):
        X, y, X_val, y_val = self.halves()
        clf = small(learning_rate_init=0.05, max_iter=60).fit(X, y)
        best = [array.copy() for array in clf.coefs_ + clf.intercepts_]
        score = clf.score(X_val, y_val)
        clf.set_params(early_stopping=True, warm_start=True, learning_rate_init=30.0, max_iter=3)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        assert clf.best_validation_score_ == score > max(clf.validation_scores_)
        for a, b in zip(clf.coefs_ + clf.intercepts_, best, strict=True):
            assert_array_equal(a, b)

    def test_a_better_last_theta_is_taken_on_a_new_validation_set(self):
        X, y, X_val, y_val = self.halves()
        clf = small(early_stopping=True, warm_start=True, learning_rate_init=0.05, max_iter=40, n_iter_no_change=50)
        clf.fit(X, y, X_val=X_val, y_val=(y_val + 1) % 3)  # the labels are wrong, so the best weights are early ones
        poor = clf.score(X_val, y_val)
        clf.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, y, X_val=X_val, y_val=y_val)
        assert poor < 0.7 < 0.9 < clf.score(X_val, y_val)

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_a_stream_goes_on_after_it_has_converged(self, solver):
        X, y, X_val, y_val = self.halves()
        clf = small(solver=solver, early_stopping=True, n_iter_no_change=2, learning_rate_init=0.005, tol=1.0)
        endless = clone(clf).set_params(n_iter_no_change=np.inf)
        stopped = 0
        for _ in range(60):
            for model in (clf, endless):
                model.partial_fit(X, y, classes=[0, 1, 2], X_val=X_val, y_val=y_val)
            stopped += clf.converged_
            assert clf.score(X_val, y_val) == (
                max(clf.validation_scores_) if clf.converged_ else clf.validation_scores_[-1]
            )
        assert stopped > 10
        assert clf.loss_curve_ == endless.loss_curve_

    def test_edited_weights_are_the_start(self):
        X, y, X_val, y_val = self.halves()
        clf = small(early_stopping=True, warm_start=True, max_iter=30, learning_rate_init=0.1)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        best = clf.best_validation_score_
        clf.coefs_[0][:] = 0.0
        edited = clf.score(X_val, y_val)
        clf.set_params(learning_rate_init=1e-12).fit(X, y, X_val=X_val, y_val=y_val)
        assert clf.validation_scores_[-1] == edited < best
        assert clf.score(X_val, y_val) == clf.best_validation_score_ == best  # the best weights were kept elsewhere

    def test_an_interrupt_before_the_first_epoch_keeps_everything(self, monkeypatch):
        X, y, X_val, y_val = self.halves()
        clf = small(early_stopping=True, warm_start=True, max_iter=30, learning_rate_init=0.1, n_jobs=1)
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        best, score, last = clf.coefs_[0].copy(), clf.best_validation_score_, clf._last_theta.copy()

        def interrupted(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(step, "train", interrupted)
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf.fit(X, y, X_val=X_val, y_val=y_val)
        assert_array_equal(clf.coefs_[0], best)
        assert_array_equal(clf._last_theta, last)
        assert clf.best_validation_score_ == score


class TestContinuing:
    """The state that one fit or partial_fit leaves to the next."""

    def test_the_best_score_of_partial_fit_without_early_stopping_is_that_of_all_calls(self):
        X, y = iris()
        clf = small(learning_rate_init=0.5)
        for _ in range(12):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
            assert clf.best_validation_score_ == max(clf.validation_scores_)
        clf.set_params(learning_rate_init=50.0).partial_fit(X, y, X_val=X, y_val=y)
        assert clf.best_validation_score_ == max(clf.validation_scores_) > clf.validation_scores_[-1]

    def test_a_best_score_without_its_weights_is_forgotten(self):
        X, y = iris()
        clf = small(learning_rate_init=0.05, warm_start=True, max_iter=20).fit(X, y, X_val=X, y_val=y)
        assert clf.best_validation_score_ > 0.9
        clf.set_params(early_stopping=True, max_iter=3).fit(X, (y + 1) % 3, X_val=X, y_val=(y + 1) % 3)
        assert clf.best_validation_score_ == clf.score(X, (y + 1) % 3)

    def test_the_best_weights_of_partial_fit_survive_a_warm_fit(self):
        X, y = iris()
        clf = small(learning_rate_init=0.05, early_stopping=True, warm_start=True, n_iter_no_change=100, max_iter=2)
        for _ in range(10):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
        best = clf.best_validation_score_
        clf.set_params(learning_rate_init=5.0).partial_fit(X, y, X_val=X, y_val=y)
        assert clf.score(X, y) < best
        clf.set_params(learning_rate_init=1e-5).fit(X, y, X_val=X, y_val=y)
        assert clf.score(X, y) == clf.best_validation_score_ == best

    @pytest.mark.parametrize("first", ["gd", "lbfgs"])
    def test_patience_begins_anew_after_a_solver_without_any(self, first):
        X, y = iris()
        clf = small(solver=first, learning_rate_init=1e-5, warm_start=True, max_iter=30, alpha=1.0).fit(X, y)
        clf.set_params(solver="sgd", max_iter=5, learning_rate_init=1e-3, tol=1.0).fit(X, y)
        assert clf.n_iter_ == 5  # no epoch improves by tol; n_iter_no_change allows 10 of these

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_partial_fit_goes_on_from_the_best_weights_after_a_divergence(self, solver):
        X, y = iris()
        clf = small(solver=solver, early_stopping=True, loss="squared_error", out_activation="identity")
        for _ in range(3):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
        with pytest.warns(ConvergenceWarning, match="best weights so far are kept"):
            clf.partial_fit(np.where(np.arange(len(X))[:, None] == 7, 1e200, X), y, X_val=X, y_val=y)
        assert not clf.converged_
        assert clf.score(X, y) == clf.best_validation_score_
        for _ in range(3):
            clf.partial_fit(X, y, X_val=X, y_val=y)
        assert np.isfinite(clf.loss_)

    def test_a_learning_rate_set_between_calls_of_partial_fit_takes_effect(self):
        X, y = iris()
        clf = small(solver="sgd", learning_rate_init=0.1, momentum=0.0).partial_fit(X, y, classes=[0, 1, 2])
        before = clf.coefs_[0].copy()
        clf.set_params(learning_rate_init=1e-9).partial_fit(X, y)
        assert 0 < np.abs(clf.coefs_[0] - before).max() < 1e-8

    def test_without_any_finite_validation_score_early_stopping_is_an_error(self):
        X, y = iris()
        clf = small(dtype="float32", early_stopping=True, activation="identity")
        with pytest.raises(ValueError, match="no validation score was finite"):
            clf.fit(X, y, X_val=X * 1e39, y_val=y)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_a_stop_iteration_of_a_watcher_is_no_request_to_stop(self, solver):
        X, y = iris()

        def watcher(epoch, max_iter, loss):
            raise StopIteration

        with pytest.raises(StopIteration), watch(watcher):
            small(solver=solver).fit(X, y)
