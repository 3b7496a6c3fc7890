"""HalvingSearchCV: survivors go on training, and no epoch is trained twice."""

import gc
import pickle
import re
import tracemalloc
import weakref

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_no_attributes_set_in_init

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.model_selection import GridSearchCV, HalvingSearchCV
from fastbp.model_selection.halving import rungs
from fastbp.training import footprint
from fastbp.training.observer import watch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(6)
X = RNG.normal(size=(90, 6))
LABELS = np.digitize(X[:, 0] + 0.3 * RNG.normal(size=90), [-0.4, 0.4])
NUMBERS = X[:, 0] - X[:, 1] ** 2
GRID = {"alpha": [1e-4, 1e-2, 1.0], "learning_rate_init": [1e-4, 1e-3, 1e-2]}
CLASSIFIER = BackpropClassifier((7,), max_iter=18, random_state=0, n_iter_no_change=18)
SCALED = Pipeline([("scale", StandardScaler()), ("mlp", CLASSIFIER)])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (CLASSIFIER, LABELS),
        (clone(CLASSIFIER).set_params(solver="sgd", learning_rate="cosine", dropout=0.3), LABELS),
        (clone(CLASSIFIER).set_params(solver="gd", gtol=0.0), LABELS),
        (BackpropRegressor(hidden_layer_sizes=(7,), max_iter=18, random_state=0, early_stopping=True), NUMBERS),
        (SCALED, LABELS),
    ],
    ids=["adam", "sgd", "gd", "regressor", "Pipeline"],
)
def test_every_rung_has_the_scores_of_fits_of_so_many_epochs(estimator, y, n_jobs):
    prefix = "mlp__" if estimator is SCALED else ""
    grid = {prefix + name: values for name, values in GRID.items()}
    found = HalvingSearchCV(estimator, grid, cv=3, n_jobs=n_jobs).fit(X, y)
    assert found.rungs_ == [(9, 2), (3, 6), (1, 18)]
    results = found.cv_results_
    assert sorted(results["rung"]) == [0] * 6 + [1] * 2 + [2]
    # Candidates of the last rung have the scores of a full search. Those of other rungs have the scores of shorter
    # fits, unless there is a schedule, because a schedule depends on max_iter.
    last = results["rung"] == 2
    full = GridSearchCV(estimator, grid, cv=3).fit(X, y).cv_results_
    for k in range(3):
        assert_array_equal(results[f"split{k}_test_score"][last], full[f"split{k}_test_score"][last])
    if estimator in (CLASSIFIER, SCALED):
        short = GridSearchCV(clone(estimator).set_params(**{prefix + "max_iter": 2}), grid, cv=3).fit(X, y).cv_results_
        assert_array_equal([curve[0] for curve in results["curve_test_score"]], short["mean_test_score"])


def test_no_epoch_is_trained_twice():
    epochs = []
    with watch(lambda epoch, max_iter, loss: epochs.append(epoch)):
        search = HalvingSearchCV(CLASSIFIER, GRID, cv=3, refit=False).fit(X, LABELS)
    # 9 candidates train for 2 epochs, 3 of them for 4 more, and 1 of these for 12 more
    assert len(epochs) == search.n_epochs_ == 3 * (9 * 2 + 3 * 4 + 12)
    assert sorted(search.cv_results_["n_epochs"]) == [2] * 6 + [6] * 2 + [18]


def test_the_best_candidate_is_one_of_the_last_rung():
    search = HalvingSearchCV(CLASSIFIER, GRID, cv=3).fit(X, LABELS)
    results = search.cv_results_
    assert results["rung"][search.best_index_] == 2
    assert results["rank_test_score"][search.best_index_] == 1
    for worse, better in [(0, 1), (1, 2)]:
        assert results["rank_test_score"][results["rung"] == worse].min() > (results["rung"] >= better).sum()
        assert results["rank_test_score"][results["rung"] == better].max() <= (results["rung"] >= better).sum()
    # each rung keeps the best candidates of the rung before
    scores = np.array([curve[0] for curve in results["curve_test_score"]])
    assert scores[results["rung"] > 0].min() >= scores[results["rung"] == 0].max()
    refitted = clone(CLASSIFIER).set_params(**search.best_params_).fit(X, LABELS)
    assert_array_equal(search.predict_proba(X), refitted.predict_proba(X))


def test_max_epochs_replaces_max_iter():
    search = HalvingSearchCV(SCALED, {"mlp__alpha": [1e-4, 1.0, 2.0]}, cv=3, max_epochs=9).fit(X, LABELS)
    assert search.rungs_ == [(3, 3), (1, 9)]
    assert search.best_estimator_["mlp"].n_iter_ == 9
    assert SCALED["mlp"].max_iter == 18


def test_candidates_may_be_drawn():
    drawn = {"alpha": scipy.stats.loguniform(1e-5, 1), "hidden_layer_sizes": [(7,), (5, 3)]}
    searches = [
        HalvingSearchCV(CLASSIFIER, drawn, n_candidates=6, min_epochs=3, cv=3, random_state=1).fit(X, LABELS)
        for _ in range(2)
    ]
    assert len(searches[0].cv_results_["params"]) == 6
    assert searches[0].cv_results_["params"] == searches[1].cv_results_["params"]
    assert searches[0].rungs_ == [(6, 3), (2, 18)]


def test_a_candidate_that_fails_does_not_survive():
    rates = {"learning_rate_init": [1e-2, 1e200, 1e-3]}
    search = HalvingSearchCV(CLASSIFIER, rates, cv=3, min_epochs=2)
    with pytest.warns(FitFailedWarning, match="3 fits failed"), pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, LABELS)
    assert search.cv_results_["rung"].tolist() == [1, 0, 0]
    assert search.cv_results_["rank_test_score"].tolist() == [1, 3, 2]


def test_a_trial_that_has_failed_is_not_trained_again():
    begun = []

    def fail(epoch, max_iter, loss):
        begun.append(epoch)
        raise ValueError("this fit fails")

    search = HalvingSearchCV(CLASSIFIER, {"alpha": [1e-4, 1e-2, 1.0]}, cv=3, n_jobs=1)
    with watch(fail), pytest.raises(ValueError, match="All the 9 fits"):
        search.fit(X, LABELS)
    assert len(begun) == 9


def test_with_several_scorers_refit_names_the_one_that_decides():
    options = {"cv": 3, "scoring": ["accuracy", "neg_log_loss"]}
    search = HalvingSearchCV(CLASSIFIER, GRID, refit="neg_log_loss", **options).fit(X, LABELS)
    scores = np.array([curve[0] for curve in search.cv_results_["curve_test_score"]])
    assert (scores < 0).all()
    assert scores[search.cv_results_["rung"] > 0].min() >= scores[search.cv_results_["rung"] == 0].max()
    with pytest.raises(ValueError, match="refit must name the scorer that decides which candidates survive, got False"):
        HalvingSearchCV(CLASSIFIER, GRID, refit=False, **options).fit(X, LABELS)


RUNGS = {
    (81, 3, None, 81): [(81, 3), (27, 9), (9, 27), (3, 81)],
    (81, 3, 1, 81): [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    (9, 3, 30, 81): [(9, 81)],
    (10, 2, 10, 45): [(10, 10), (5, 20), (3, 45)],
    (2, 3, None, 100): [(2, 100)],
    (30, 3, None, 2): [(30, 2)],
    (7, 2.5, None, 50): [(7, 8), (3, 20), (2, 50)],
    (1000, 10, None, 1000): [(1000, 1), (100, 10), (10, 100), (1, 1000)],
}


@pytest.mark.parametrize(("arguments", "expected"), RUNGS.items(), ids=map(str, RUNGS))
def test_the_rungs_are_as_planned(arguments, expected):
    assert rungs(*arguments) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"estimator": LogisticRegression()},
            "estimator must be a BackpropClassifier or a BackpropRegressor, or a",
        ),
        ({"estimator": BackpropClassifier(solver="lbfgs")}, "solver must be 'sgd', 'adam' or 'gd', because 'lbfgs'"),
        ({"param_distributions": {"solver": ["lbfgs"]}}, "solver must be 'sgd', 'adam' or 'gd', because 'lbfgs'"),
        ({"param_distributions": {"max_iter": [3]}}, "param_distributions must not have 'max_iter': set max_epochs"),
        ({"param_distributions": {"alpha": scipy.stats.uniform()}}, "n_candidates must be a number if a parameter has"),
        ({"min_epochs": 19}, "min_epochs must be at most max_epochs=18, got 19"),
        ({"factor": 1}, "The 'factor' parameter of HalvingSearchCV must be a float in the range (1.0, inf"),
        ({"n_candidates": 0}, "The 'n_candidates' parameter of HalvingSearchCV must be an int"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    search = HalvingSearchCV(**{"estimator": CLASSIFIER, "param_distributions": {"alpha": [1.0]}} | options)
    with pytest.raises(ValueError, match=re.escape(message)):
        search.fit(X, LABELS)


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (clone(CLASSIFIER).set_params(max_iter=0), {}, "'max_iter' parameter of BackpropClassifier"),
        (CLASSIFIER, {"param_distributions": []}, r"must have candidates, got \[\]"),
        (CLASSIFIER, {"scoring": ["accuracy", "f1_macro"], "refit": False}, "refit must name the scorer .* got False"),
        (SCALED, {"param_distributions": {"mlp": [CLASSIFIER]}}, "must not have 'mlp'"),
        (SCALED, {"param_distributions": {"steps": [SCALED.steps]}}, "must not have 'steps'"),
    ],
)
def test_what_halving_cannot_do_is_said_before_any_training(estimator, options, message):
    search = HalvingSearchCV(estimator, {"alpha": [1.0, 2.0]}, cv=2).set_params(**options)

    def train(*_):
        raise AssertionError("it trains")

    with watch(train), pytest.raises(ValueError, match=message):
        search.fit(X, LABELS)


def test_callbacks_are_refused():
    callback = pytest.importorskip("sklearn.callback")
    watched = clone(CLASSIFIER).set_callbacks(callback.ProgressBar())
    for estimator in (watched, Pipeline([("scale", StandardScaler()), ("mlp", watched)])):
        with pytest.raises(ValueError, match="must have no callbacks"):
            HalvingSearchCV(estimator, GRID).fit(X, LABELS)


def test_a_fit_that_fails_in_one_fold_goes_with_a_scorer_that_returns_several_scores():
    def scores(net, X, y, sample_weight=None):
        return {"right": net.score(X, y), "n": len(X)}

    weights = np.repeat([1.0, 0.0], [30, 60])  # all training rows of the first fold have the weight 0
    net = clone(CLASSIFIER).set_params(max_iter=2)
    search = HalvingSearchCV(net, {"alpha": [1e-4, 1.0]}, cv=KFold(3), scoring=scores, refit="right", error_score=-1.0)
    with pytest.warns(FitFailedWarning):
        search.fit(X, LABELS, sample_weight=weights)
    assert_array_equal(search.cv_results_["split0_test_n"], [-1, -1])
    assert_array_equal(search.cv_results_["split1_test_n"], [30, 30])


@pytest.mark.parametrize("search", [HalvingSearchCV, GridSearchCV])
def test_errors_of_candidates_do_not_keep_their_data(search):
    class Seen(np.ndarray):
        """An array that a weak reference can refer to."""

    given, lost = X.copy().view(Seen), []
    lost.append(weakref.ref(given))
    gc.collect()
    gc.disable()
    try:
        with pytest.warns(FitFailedWarning):
            search(CLASSIFIER, {"learning_rate_init": [1e-3, 1e200]}, cv=2, error_score=0.0).fit(given, LABELS)
        del given
        assert lost[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_memory_of_waiting_candidates_is_said_before_it_is_taken(n_jobs, monkeypatch):
    said = []
    monkeypatch.setattr(HalvingSearchCV, "_check_memory", lambda self, needed: said.append(needed))
    wide = BackpropClassifier((512, 256), max_iter=3, random_state=0)
    search = HalvingSearchCV(wide, {"alpha": [1e-4, 1e-2, 1.0]}, cv=2, min_epochs=1, n_jobs=n_jobs, refit=False)
    search.fit(X, LABELS)  # compiles
    tracemalloc.start()
    try:
        search.fit(X, LABELS)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.7 * used < said[-1] < 1.3 * used


def test_candidates_that_do_not_fit_into_the_memory_are_refused(monkeypatch, capsys):
    search = HalvingSearchCV(CLASSIFIER, {"alpha": [1e-4, 1.0, 2.0]}, cv=3)
    monkeypatch.setattr(footprint, "physical_memory", lambda: 1000)
    with pytest.raises(MemoryError, match=r"\d+ candidates \(n_candidates=None\) need about .* MiB while they wait"):
        search.fit(X, LABELS)
    monkeypatch.setattr(footprint, "physical_memory", lambda: None)
    search.fit(X, LABELS)
    assert capsys.readouterr().out == ""


def best_score(search, rung):
    """The best mean test score after a rung."""
    return max(curve[rung] for curve in search.cv_results_["curve_test_score"] if len(curve) > rung)


def test_a_search_is_an_estimator_of_scikit_learn(capsys):
    search = HalvingSearchCV(CLASSIFIER, {"alpha": [1e-4, 1.0, 2.0]}, cv=3, verbose=1)
    check_no_attributes_set_in_init("HalvingSearchCV", search)
    copy = clone(search).fit(X, LABELS)
    assert capsys.readouterr().out.splitlines() == [
        "Fitting 3 folds for each of 3 candidates, totalling 9 fits",
        "Candidates that wait for their next epochs need about 0.3 MiB",
        f"3 candidates after 6 epochs: the best mean test score is {best_score(copy, 0):.6g}",
        f"1 candidates after 18 epochs: the best mean test score is {copy.best_score_:.6g}",
    ]
    assert_array_equal(pickle.loads(pickle.dumps(copy)).predict(X), copy.predict(X))
