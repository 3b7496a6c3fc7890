"""scikit-learn's callbacks: the tasks they are told of, the data they get, and fits that they stop or let fail."""

import importlib.util
import pickle
import sys
from itertools import chain

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.estimators import callbacks
from fastbp.network import costs
from fastbp.network.layout import Layout
from fastbp.training.observer import Observer, watch
from support.recorders import (
    ESTIMATORS,
    HAS_CALLBACKS,
    SOLVERS,
    Collector,
    Recorder,
    assert_same_model,
    epoch_calls,
    expected_calls,
    iris,
    needs_callbacks,
    not_converged,
    small,
    training_rows,
)


def test_without_callbacks_in_scikit_learn_estimators_have_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("fastbp.estimators.callbacks_of_old", callbacks.__file__)
    old = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(old)
    assert not hasattr(old.CallbackSupportMixin, "set_callbacks")
    observer = old.observer(old.CallbackSupportMixin(), None, None, None, method="fit", max_subtasks=1)
    assert type(observer) is Observer


def test_estimators_take_callbacks_if_scikit_learn_has_them():
    assert [hasattr(kind, "set_callbacks") for kind in ESTIMATORS] == [HAS_CALLBACKS] * 2


@not_converged
@needs_callbacks
class TestTasks:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_epoch_is_a_task(self, solver, kind):
        recorder = Recorder()
        estimator = small(kind, solver=solver).set_callbacks(recorder).fit(*iris(kind))
        assert estimator.n_iter_ == 5
        # 'lbfgs' has one task more, because SciPy does not announce its last iteration. 'gd' has one task more, because
        # it also computes a gradient after the last update.
        n = 6 if solver in ("lbfgs", "gd") else 5
        assert recorder.calls == expected_calls(*[epoch_calls(i) for i in range(n)])

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_a_fit_that_converges_ends_what_it_began(self, solver):
        X, y = iris(BackpropClassifier)
        recorder = Recorder()
        params = {"gtol": 0.3, "tol": 0.05, "n_iter_no_change": 1, "max_iter": 300}
        clf = small(solver=solver, **params).set_callbacks(recorder).fit(X, y)
        assert clf.converged_
        assert 2 < clf.n_iter_ < 300
        n = clf.n_iter_ + (solver in ("lbfgs", "gd"))
        assert recorder.calls == expected_calls(*[epoch_calls(i) for i in range(n)])

    def test_a_partial_fit_is_a_fit_of_one_epoch(self):
        X, y = iris(BackpropClassifier)
        recorder = Recorder()
        clf = small().set_callbacks(recorder)
        clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
        assert recorder.calls == 2 * expected_calls(epoch_calls(0), method="partial_fit")

    def test_a_long_epoch_has_its_kernel_calls_as_subtasks(self, monkeypatch):
        X, y = iris(BackpropClassifier)
        monkeypatch.setattr(costs, "CALL_WORK", 1)  # every batch is a call of its own
        n = callbacks.LONG_EPOCH
        recorder = Recorder()
        small(batch_size=len(y) // n + 1, max_iter=2).set_callbacks(recorder).fit(X, y)
        assert recorder.calls == expected_calls(epoch_calls(0), epoch_calls(1))  # an epoch has LONG_EPOCH - 1 calls

        recorder.calls.clear()
        small(batch_size=7, max_iter=2).set_callbacks(recorder).fit(X, y)

        def long(i):
            begin, end = epoch_calls(i)
            parts = range(-(-len(y) // 7))
            assert len(parts) >= n
            return [begin, *chain(*[[("begin", "part", (0, i, j)), ("end", "part", (0, i, j))] for j in parts]), end]

        assert recorder.calls == expected_calls(long(0), long(1))

    @pytest.mark.parametrize("solver", ["lbfgs", "gd"])
    def test_a_long_iteration_has_the_kernel_calls_of_one_evaluation_as_subtasks(self, solver, monkeypatch):
        for name, value in {"CALL_WORK": 1, "MIN_CHUNK": 8, "MAX_CHUNK": 8}.items():
            monkeypatch.setattr(costs, name, value)
        monkeypatch.setattr(callbacks, "LONG_EPOCH", 10)
        recorder = Recorder()
        small(solver=solver, max_iter=3).set_callbacks(recorder).fit(*iris(BackpropClassifier))
        parts = [path for _, name, path in recorder.hooks("end") if name == "part"]
        n = sum(path[1] == 0 for path in parts)
        assert n >= 10
        assert parts[: 3 * n] == [(0, i, j) for i in range(3) for j in range(n)]

    @pytest.mark.parametrize("n_calls", [1, callbacks.LONG_EPOCH + 3])
    def test_other_kernel_calls_than_foreseen_leave_no_open_task(self, n_calls):
        recorder = Recorder()
        clf = small().set_callbacks(recorder)
        observer = callbacks.CallbackObserver(clf, None, None, None, method="fit", max_subtasks=1)
        observer.epoch_begins(callbacks.LONG_EPOCH)
        for _ in range(n_calls):
            observer.part_ends()
        observer.epoch_ends(1, 1, 0.5)
        assert sorted(recorder.hooks("begin")[1:]) == sorted(("begin", *end[1:]) for end in recorder.hooks("end"))

    def test_without_callbacks_nothing_is_set_up(self, monkeypatch):
        monkeypatch.setattr(BackpropClassifier, "_init_callback_context", None)
        X, y = iris(BackpropClassifier)
        small().fit(X, y)
        small().set_callbacks(Recorder()).set_callbacks().fit(X, y)
        with pytest.raises(TypeError, match="NoneType"):
            small().set_callbacks(Recorder()).fit(X, y)

    def test_watchers_are_told_too(self):
        epochs = []
        with watch(lambda epoch, max_iter, loss: epochs.append(epoch)):
            small().set_callbacks(Recorder()).fit(*iris(BackpropClassifier))
        assert epochs == [1, 2, 3, 4, 5]


@not_converged
@needs_callbacks
class TestFittedEstimator:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize(
        "params",
        [
            {"solver": "adam"},
            {"solver": "adam", "dtype": "float32"},
            {"solver": "sgd", "learning_rate": "invscaling"},
            {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
            {"solver": "adam", "early_stopping": True, "learning_rate_init": 0.3},
            {"solver": "lbfgs"},
            {"solver": "gd"},
        ],
        ids=lambda params: "-".join(map(str, params.values())),
    )
    def test_is_the_one_of_a_fit_of_as_many_epochs(self, params, kind):
        X, y = iris(kind)
        collector = Collector()
        small(kind, **params).set_callbacks(collector).fit(X, y)
        begun, ended = collector.of_epochs("begin", "fitted"), collector.of_epochs("end", "fitted")
        for i in range(5):  # after the fit: the estimators handed out have not changed since
            whole = small(kind, **{**params, "max_iter": i + 1}).fit(X, y)
            assert_same_model(ended[i], whole)
            assert_array_equal(ended[i].predict(X), whole.predict(X))
            assert ended[i].score(X, y) == whole.score(X, y)
            assert ended[i].n_iter_ == i + 1
            assert ended[i].validation_scores_ == whole.validation_scores_
            assert ended[i].loss_curve_ == whole.loss_curve_[: i + 1]
            assert set(vars(ended[i])) >= set(vars(whole))
            if i:
                assert_same_model(begun[i], ended[i - 1])

    def test_of_a_converging_partial_fit_with_a_validation_set_has_the_best_weights(self):
        X, y = iris(BackpropClassifier)
        X, X_val, y, y_val = train_test_split(X, y, random_state=3, test_size=0.5)
        collector = Collector()
        clf = small(early_stopping=True, n_iter_no_change=2, learning_rate_init=1).set_callbacks(collector)
        for _ in range(50):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X_val, y_val=y_val)
            assert_same_model(collector.of_epochs("end", "fitted")[-1], clf)
            if clf.converged_:
                break
        assert clf.converged_
        assert clf.score(X_val, y_val) == clf.best_validation_score_ > clf.validation_scores_[-1]

    def test_at_the_first_epoch_has_the_initial_weights_and_none_at_the_fit(self):
        X, y = iris(BackpropClassifier)
        collector = Collector()
        clf = small().set_callbacks(collector).fit(X, y)
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        assert_array_equal(collector.of_epochs("begin", "fitted")[0].predict_proba(X), start.predict_proba(X))
        (_, _, first), *_, (_, _, last) = collector.handed
        assert first["fitted"] is None
        assert_same_model(last["fitted"], clf)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_can_be_pickled_and_trained_on(self, solver):
        X, y = iris(BackpropClassifier)
        collector = Collector()
        small(solver=solver).set_callbacks(collector).fit(X, y)
        checkpoint = pickle.loads(pickle.dumps(collector.of_epochs("end", "fitted")[2].set_callbacks()))
        whole = small(solver=solver, max_iter=3).fit(X, y)
        assert_same_model(checkpoint.partial_fit(X, y), whole.partial_fit(X, y))

    def test_replaces_the_one_of_the_previous_fit(self):
        X, y = iris(BackpropClassifier)
        collector = Collector()
        clf = small(warm_start=True).fit(X, y).set_callbacks(collector)
        before = clf.coefs_[0].copy()
        clf.fit(X, y)
        first = collector.of_epochs("end", "fitted")[0]
        assert not np.array_equal(first.coefs_[0], before)
        assert not np.array_equal(first.coefs_[0], clf.coefs_[0])

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_is_made_only_if_a_callback_asks_for_it(self, solver, monkeypatch):
        X, y = iris(BackpropClassifier)
        made = []
        unpack = Layout.unpack
        monkeypatch.setattr(Layout, "unpack", lambda *args: made.append(1) or unpack(*args))
        counts = []
        for callback in ([], [Recorder()], [Collector()], [Collector(), Collector()]):
            made.clear()
            small(solver=solver).set_callbacks(*callback).fit(X, y)
            counts.append(len(made))
        nobody, uninterested, one, two = counts
        assert nobody == uninterested
        assert one > uninterested + 5
        assert one == two

    def test_of_many_threads_predicts(self):
        # A callback predicts in the middle of a fit, in the thread of the fit.
        rng = np.random.default_rng(0)
        X = rng.normal(size=(1000, 40))
        y = (X[:, 0] > 0).astype(int)
        collector = Collector()
        params = {"hidden_layer_sizes": (32,), "max_iter": 2, "batch_size": 500, "n_jobs": 2}
        clf = small(**params).set_callbacks(collector).fit(X, y)
        assert_array_equal(collector.of_epochs("end", "fitted")[-1].predict_proba(X), clf.predict_proba(X))


@not_converged
@needs_callbacks
class TestData:
    def test_is_what_fit_was_given(self):
        pd = pytest.importorskip("pandas")
        X, y = iris(BackpropClassifier)
        X = pd.DataFrame(X, columns=list("abcd"))
        weight = np.arange(1.0, 151)
        collector = Collector()
        small(max_iter=1).set_callbacks(collector).fit(X, y, weight)
        for _, _, handed in collector.handed:
            assert handed["X"] is X
            assert handed["y"] is y
            assert_array_equal(handed["metadata"]["sample_weight"], weight)

    @pytest.mark.parametrize("form", ["array", "list", "frame", "coo"])
    def test_is_the_training_part_of_an_epoch_with_early_stopping(self, form):
        X, y = iris(BackpropClassifier)
        rows = training_rows()
        weight = np.arange(1.0, 151)
        given = X
        if form == "frame":
            given = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
        elif form != "array":
            given = X.tolist() if form == "list" else sparse.coo_array(X)
        collector = Collector()
        small(max_iter=2, early_stopping=True).set_callbacks(collector).fit(given, y, weight)
        for hook in ("begin", "end"):
            for part in collector.of_epochs(hook, "X"):
                assert type(part) is type(given) if form != "coo" else part.format == "csr"
                assert_array_equal(part.toarray() if form == "coo" else np.asarray(part), X[rows])
            for part in collector.of_epochs(hook, "y"):
                assert_array_equal(part, y[rows])
            for metadata in collector.of_epochs(hook, "metadata"):
                assert_array_equal(metadata["sample_weight"], weight[rows])
        assert collector.handed[0][2]["X"] is given

    def test_has_no_metadata_without_weights_and_a_number_is_one_for_all(self):
        X, y = iris(BackpropClassifier)
        collector = Collector()
        clf = small(max_iter=1, early_stopping=True).set_callbacks(collector)
        clf.fit(X, y)
        assert collector.of_epochs("end", "metadata") == [None]
        clf.fit(X, y, 2.0)
        assert_array_equal(collector.of_epochs("end", "metadata")[-1]["sample_weight"], np.full(135, 2.0))

    def test_is_copied_only_if_a_callback_asks_for_it_and_once(self, monkeypatch):
        X, y = iris(BackpropClassifier)
        taken = []
        take = callbacks._safe_indexing
        monkeypatch.setattr(callbacks, "_safe_indexing", lambda *args: taken.append(1) or take(*args))
        small(early_stopping=True).set_callbacks(Recorder()).fit(X, y)
        assert not taken
        small(early_stopping=True).set_callbacks(Collector(), Collector()).fit(X, y)
        assert len(taken) == 2


@needs_callbacks
class TestStop:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_ends_the_fit_after_the_epoch_without_a_warning(self, solver, kind):
        X, y = iris(kind)
        recorder = Recorder(stops=(0, 2))
        estimator = small(kind, solver=solver, max_iter=20).set_callbacks(recorder).fit(X, y)
        assert estimator.n_iter_ == 3
        assert not estimator.converged_
        assert recorder.calls == expected_calls(*[epoch_calls(i) for i in range(3)])
        with pytest.warns(ConvergenceWarning):
            whole = small(kind, solver=solver, max_iter=3).fit(X, y)
        assert_same_model(estimator, whole)

    def test_in_the_last_epoch_is_no_failure_to_converge(self):
        small().set_callbacks(Recorder(stops=(0, 4))).fit(*iris(BackpropClassifier))

    def test_restores_the_best_weights_of_early_stopping(self):
        X, y = iris(BackpropClassifier)
        X, X_val, y, y_val = train_test_split(X, y, random_state=2, test_size=0.5)
        params = {"early_stopping": True, "learning_rate_init": 1, "max_iter": 50}
        clf = small(**params).set_callbacks(Recorder(stops=(0, 5))).fit(X, y, X_val=X_val, y_val=y_val)
        assert clf.n_iter_ == 6
        assert clf.validation_scores_[-1] < clf.best_validation_score_
        assert clf.score(X_val, y_val) == clf.best_validation_score_

    def test_of_a_part_ends_the_fit_after_its_epoch(self, monkeypatch):
        monkeypatch.setattr(costs, "CALL_WORK", 1)
        recorder = Recorder(stops=(0, 1, 3))
        clf = small(batch_size=5).set_callbacks(recorder).fit(*iris(BackpropClassifier))
        assert clf.n_iter_ == 2
        assert ("end", "part", (0, 1, 29)) in recorder.calls


@not_converged
@needs_callbacks
class TestFailure:
    """Callbacks are torn down in any case, and the estimator stays as it was."""

    @staticmethod
    def assert_cleaned_up(clf, recorder, before):
        assert [len(recorder.hooks(hook)) for hook in ("setup", "teardown")] == [1, 1]
        assert recorder.calls[-1][0] == "teardown"
        assert vars(clf).keys() == before.keys()
        assert all(vars(clf)[name] is value for name, value in before.items())
        assert clf._skl_callbacks == [recorder]

    @pytest.mark.parametrize(
        ("what", "message"),
        [
            ({"X": np.full((150, 4), np.nan)}, "NaN"),
            ({"y": np.zeros(3)}, "inconsistent"),
            ({"sample_weight": np.zeros(150)}, "zero"),
        ],
    )
    def test_of_validation(self, what, message):
        X, y = iris(BackpropClassifier)
        recorder = Recorder()
        clf = small().fit(X, y).set_callbacks(recorder)
        before = dict(vars(clf))
        with pytest.raises(ValueError, match=message):
            clf.fit(**{"X": X, "y": y, **what})
        self.assert_cleaned_up(clf, recorder, before)

    def test_of_parameters_sets_nothing_up(self):
        recorder = Recorder()
        with pytest.raises(ValueError, match="alpha"):
            small(alpha=-1).set_callbacks(recorder).fit(*iris(BackpropClassifier))
        assert not recorder.calls

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
    @pytest.mark.parametrize("solver", ["sgd", "gd"])
    def test_of_training_that_diverges(self, solver):
        X, y = iris(BackpropRegressor)
        recorder = Recorder()
        reg = small(BackpropRegressor).fit(X, y).set_callbacks(recorder)
        reg.set_params(solver=solver, learning_rate_init=1e8, activation="identity", max_iter=200)
        before = dict(vars(reg))
        with pytest.raises(ValueError, match="diverged"):
            reg.fit(X, y)
        self.assert_cleaned_up(reg, recorder, before)
        assert {name for _, name, _ in recorder.hooks("end")} <= {"epoch"}
        assert len(recorder.hooks("begin")) == len(recorder.hooks("end")) + 2  # the failed fit and epoch do not end

    @pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_of_a_callback(self, solver, hook):
        X, y = iris(BackpropClassifier)
        recorder = Recorder(raises=(hook, LookupError("no")))
        clf = small(solver=solver).fit(X, y).set_callbacks(recorder)
        before = dict(vars(clf))
        with pytest.raises(LookupError, match="no"):
            clf.fit(X, y)
        if hook == "teardown":  # by then the fit has ended, so its result stays
            assert clf.coefs_ is not before["coefs_"]
            assert vars(clf).keys() == before.keys()
        else:
            self.assert_cleaned_up(clf, recorder, before)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_is_not_an_interrupt_and_an_interrupt_keeps_the_model(self, solver):
        class Interrupting(Recorder):
            def on_fit_task_end(self, estimator, context):
                super().on_fit_task_end(estimator, context)
                if context.task_id == 2 and context.task_name == "epoch":
                    raise KeyboardInterrupt

        X, y = iris(BackpropClassifier)
        recorder = Interrupting()
        clf = small(solver=solver, max_iter=20).set_callbacks(recorder)
        with pytest.warns(UserWarning, match="interrupted"):
            clf.fit(X, y)
        assert clf.n_iter_ == 3
        assert recorder.calls == expected_calls(*[epoch_calls(i) for i in range(3)])
        assert not hasattr(clf, "_callback_fit_ctx")
        assert_same_model(clf, small(solver=solver, max_iter=3).fit(X, y))

    def test_is_not_an_interrupt_and_an_interrupt_ends_the_epoch_under_way(self):
        recorder = Recorder()

        def interrupt(epoch, max_iter, loss):
            if epoch == 2:
                raise KeyboardInterrupt

        with watch(interrupt), pytest.warns(UserWarning, match="interrupted"):
            small().set_callbacks(recorder).fit(*iris(BackpropClassifier))
        assert recorder.calls == expected_calls(epoch_calls(0), epoch_calls(1))
