"""scikit-learn's own callbacks, on an estimator and in meta-estimators."""

import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier
from fastbp.network import costs
from support.recorders import ESTIMATORS, Propagated, iris, needs_callbacks, not_converged, small, training_rows


@not_converged
@needs_callbacks
class TestOwnCallbacks:
    """scikit-learn's own callbacks, on an estimator and in meta-estimators."""

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_scoring_monitor_scores_every_epoch(self, kind, weighted):
        from sklearn.callback import ScoringMonitor

        X, y = iris(kind)
        weight = np.linspace(0, 3, 150) if weighted else None
        scoring = "accuracy" if kind is BackpropClassifier else "r2"
        monitor = ScoringMonitor(scoring=scoring)
        small(kind).set_callbacks(monitor).fit(X, y, weight)
        expected = [small(kind, max_iter=k).fit(X, y, weight).score(X, y, weight) for k in (5, 1, 2, 3, 4, 5)]
        log = monitor.get_logs().data
        assert [row["task_id_path"] for row in log] == [(0,), (0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]
        assert_allclose([row[scoring] for row in log], expected, rtol=1e-15)
        assert len(set(expected)) > 2

    def test_scoring_monitor_scores_the_training_part_of_early_stopping(self):
        from sklearn.callback import ScoringMonitor

        pd = pytest.importorskip("pandas")
        X, y = iris(BackpropClassifier)
        X = pd.DataFrame(X, columns=list("abcd"))
        rows = training_rows()
        monitor = ScoringMonitor(scoring="neg_log_loss")
        small(early_stopping=True).set_callbacks(monitor).fit(X, y)
        expected = []
        for k in range(1, 6):
            clf = small(early_stopping=True, max_iter=k).fit(X, y)
            p = clf.predict_proba(X.iloc[rows])
            expected.append(np.log(p[np.arange(len(rows)), y[rows]]).mean())
        log = monitor.get_logs().data
        assert_allclose([row["neg_log_loss"] for row in log if row["task_name"] == "epoch"], expected, rtol=1e-12)

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_progress_bar_shows_the_fit(self, solver, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        small(solver=solver).set_callbacks(ProgressBar()).fit(*iris(BackpropClassifier))
        shown = capsys.readouterr().out
        assert re.search("BackpropClassifier - fit .*100%", shown)
        assert "epoch" not in shown

    def test_progress_bar_shows_long_epochs(self, capsys, monkeypatch):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        monkeypatch.setattr(costs, "CALL_WORK", 1)
        small(batch_size=5, max_iter=2).set_callbacks(ProgressBar()).fit(*iris(BackpropClassifier))
        shown = capsys.readouterr().out
        for i in range(2):
            assert re.search(f"BackpropClassifier - epoch #{i} .*100%", shown)

    def test_progress_bar_goes_through_a_pipeline(self, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", small())]).set_callbacks(ProgressBar())
        pipeline.fit(*iris(BackpropClassifier))
        assert re.search("BackpropClassifier - fit .*100%", capsys.readouterr().out)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_pipeline_hands_down_its_callbacks(self, kind):
        recorder = Propagated()
        pipeline = Pipeline([("mlp", small(kind))]).set_callbacks(recorder).fit(*iris(kind))
        epochs = [path for _, name, path in recorder.hooks("end") if name == "epoch"]
        assert epochs == [(0, 0, i) for i in range(5)]
        assert not {"_skl_callbacks", "_parent_callback_ctx", "_callback_fit_ctx"} & set(vars(pipeline["mlp"]))

    def test_pipeline_hands_down_its_callbacks_to_a_fit_that_fails(self):
        X, y = iris(BackpropClassifier)
        recorder = Propagated()
        pipeline = Pipeline([("mlp", small())]).set_callbacks(recorder)
        with pytest.raises(ValueError, match="zero"):
            pipeline.fit(X, y, mlp__sample_weight=np.zeros(150))
        assert recorder.calls[-1][:2] == ("teardown", "fit")
        assert not {"_skl_callbacks", "_parent_callback_ctx", "_callback_fit_ctx"} & set(vars(pipeline["mlp"]))

    def test_grid_search_hands_down_its_callbacks(self):
        recorder = Propagated()
        search = GridSearchCV(small(max_iter=2), {"alpha": [0.0, 1.0]}, cv=2).set_callbacks(recorder)
        search.fit(*iris(BackpropClassifier))
        epochs = [path for _, name, path in recorder.hooks("end") if name == "epoch"]
        assert len(epochs) == len(set(epochs)) == (2 * 2 + 1) * 2  # with the refit
        assert len(recorder.hooks("setup")) == len(recorder.hooks("teardown")) == 1

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_grid_search_collects_the_scores_of_its_candidates(self, n_jobs):
        from sklearn.callback import ScoringMonitor

        X, y = iris(BackpropClassifier)
        monitor = ScoringMonitor(scoring="accuracy")
        clf = small(max_iter=3).set_callbacks(monitor)
        GridSearchCV(clf, {"alpha": [0.0, 1.0]}, cv=KFold(2, shuffle=True, random_state=0), n_jobs=n_jobs).fit(X, y)
        log = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
        found = sorted(row["accuracy"] for row in log if row["task_id_path"][:2] == (0, 0))
        expected = []
        for alpha in (0.0, 1.0):
            for train, _ in KFold(2, shuffle=True, random_state=0).split(X):
                fits = [small(alpha=alpha, max_iter=k).fit(X[train], y[train]) for k in (1, 2, 3)]
                expected.extend(fit.score(X[train], y[train]) for fit in fits)
        assert_allclose(found, sorted(expected), rtol=1e-15)

    def test_survive_clone_and_pickle(self):
        from sklearn.callback import ScoringMonitor

        X, y = iris(BackpropClassifier)
        monitor = ScoringMonitor(scoring="accuracy")
        clf = small().set_callbacks(monitor)
        copy = clone(clf)
        assert copy._skl_callbacks == [monitor]
        copy = pickle.loads(pickle.dumps(clf.fit(X, y)))
        assert_array_equal(copy.predict(X), clf.predict(X))
        (other,) = copy._skl_callbacks
        copy.fit(X, y)
        assert len(other.get_logs(select="all")) == 2
        assert len(monitor.get_logs(select="all")) == 1
