"""GridSearchCV and RandomizedSearchCV have the results of scikit-learn's searches, to the last digit."""

import itertools
import pickle
import re
import threading
import time
from typing import ClassVar

import joblib
import numpy as np
import pytest
import scipy.sparse
import scipy.stats
import sklearn
from numpy.testing import assert_array_equal
from sklearn import model_selection as theirs
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.feature_selection import SelectKBest, SequentialFeatureSelector
from sklearn.metrics import get_scorer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp import model_selection as ours
from fastbp.estimators.base import Perceptron
from fastbp.model_selection import evaluation
from fastbp.model_selection.folds import Fold
from fastbp.training.observer import watch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(90, 6))
LABELS = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.3 * RNG.normal(size=90), [-0.4, 0.4])]
NUMBERS = X[:, 0] - X[:, 1] ** 2 + 0.1 * RNG.normal(size=90)
WEIGHTS = RNG.random(90)
CLASSIFIER = BackpropClassifier((7,), max_iter=6, random_state=0, learning_rate_init=0.02)
REGRESSOR = BackpropRegressor(hidden_layer_sizes=(7,), max_iter=6, random_state=0, learning_rate_init=0.02)
SCALED = Pipeline([("scale", StandardScaler()), ("mlp", CLASSIFIER)])
GRID = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(7,), (5, 3)]}
OF_PIPELINE = {f"mlp__{name}": values for name, values in GRID.items()}
TWO = {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss", "return_train_score": True}


def both(name, *args, **options):
    """The search of fastbp, and scikit-learn's search of the same name."""
    return getattr(ours, name)(*args, **options), getattr(theirs, name)(*args, **options)


def assert_same_search(found, expected):
    """All results except the times are equal to the last digit."""
    assert list(found.cv_results_) == list(expected.cv_results_)
    for key, values in expected.cv_results_.items():
        if "_time" not in key:
            assert_array_equal(np.asarray(found.cv_results_[key]), np.asarray(values), err_msg=key)
        else:
            assert (np.asarray(found.cv_results_[key]) >= 0).all()
    of_fit = {name for name in vars(expected) if name.endswith("_") and not name.startswith("_")}
    assert of_fit <= set(vars(found))
    for name in of_fit - {"cv_results_", "best_estimator_", "scorer_", "refit_time_"}:
        assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    if hasattr(expected, "best_estimator_"):
        assert_array_equal(found.predict(X), expected.predict(X))


CASES = {
    "classifier": (CLASSIFIER, GRID, LABELS, {}),
    "regressor": (REGRESSOR, GRID, NUMBERS, {"scoring": "neg_mean_absolute_error"}),
    "Pipeline": (SCALED, OF_PIPELINE, LABELS, {}),
    "two scorers": (CLASSIFIER, GRID, LABELS, TWO),
    "parameters of the scaler": (SCALED, {"scale__with_mean": [True, False], "mlp__alpha": [1e-4, 1.0]}, LABELS, {}),
    "another last step": (SCALED, {"mlp": [CLASSIFIER, MLPClassifier((3,), max_iter=2, random_state=0)]}, LABELS, {}),
    "early stopping": (clone(CLASSIFIER).set_params(early_stopping=True), GRID, LABELS, {}),
    "class weights": (CLASSIFIER, {"class_weight": ["balanced", None, {"a": 2, "b": 1, "c": 1}]}, LABELS, {}),
    "dtypes": (CLASSIFIER, {"dtype": ["float32", "float64"]}, LABELS, {}),
    "solvers": (CLASSIFIER, {"solver": ["lbfgs", "sgd", "gd"]}, LABELS, {}),
    "refit by a function": (CLASSIFIER, GRID, LABELS, {"refit": lambda results: 2}),
    "no refit": (CLASSIFIER, GRID, LABELS, {"refit": False}),
    "a scorer that returns two": (
        CLASSIFIER, GRID, LABELS,
        {"scoring": lambda net, X, y: {"n": len(X), "right": np.mean(net.predict(X) == y)}, "refit": "right"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_grid_searches_have_scikit_learns_results(case, n_jobs):
    estimator, grid, y, options = CASES[case]
    found, expected = both("GridSearchCV", estimator, grid, cv=3, **options)
    assert_same_search(found.set_params(n_jobs=n_jobs).fit(X, y), expected.fit(X, y))


def test_randomized_searches_have_scikit_learns_results():
    distributions = {"mlp__alpha": scipy.stats.loguniform(1e-5, 1e2), "mlp__hidden_layer_sizes": [(7,), (5, 3)]}
    found, expected = both("RandomizedSearchCV", SCALED, distributions, n_iter=5, random_state=3)
    assert_same_search(found.fit(X, LABELS), expected.fit(X, LABELS))


def test_candidates_and_splits_may_be_drawn_by_the_same_random_state():
    distributions = {"alpha": scipy.stats.loguniform(1e-5, 1e2)}
    results = []
    for module in (ours, theirs):
        draw = np.random.RandomState(3)
        cv = theirs.KFold(3, shuffle=True, random_state=draw)
        results.append(module.RandomizedSearchCV(CLASSIFIER, distributions, n_iter=3, cv=cv, random_state=draw))
    assert_same_search(*(search.fit(X, LABELS) for search in results))


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV", "HalvingSearchCV"])
def test_n_jobs_is_not_zero(name):
    with pytest.raises(ValueError, match=r"n_jobs.* Got 0"):
        getattr(ours, name)(CLASSIFIER, {"alpha": [1.0, 2.0]}, n_jobs=0).fit(X, LABELS)


INNER = {
    "a selection by a network": (
        make_pipeline(SequentialFeatureSelector(CLASSIFIER, n_features_to_select=1, cv=2), CLASSIFIER),
        {"backpropclassifier__alpha": [1e-4, 1.0]},
    ),
    "a network within the last step": (SCALED, {"mlp": [CLASSIFIER, OneVsRestClassifier(CLASSIFIER)]}),
}


@pytest.mark.parametrize("case", INNER)
def test_networks_within_the_steps_of_a_pipeline_train_as_always(case):
    found, expected = both("GridSearchCV", *INNER[case], cv=2, error_score="raise")
    assert_same_search(found.fit(X, LABELS), expected.fit(X, LABELS))


def test_weights_and_groups_are_passed_on():
    groups = np.arange(90) // 9
    found, expected = both("GridSearchCV", CLASSIFIER, GRID, cv=theirs.GroupKFold(3))
    for search in (found, expected):
        search.fit(X, LABELS, sample_weight=WEIGHTS, groups=groups)
    assert_same_search(found, expected)
    found, expected = both("GridSearchCV", SCALED, OF_PIPELINE, cv=theirs.GroupKFold(3))
    for search in (found, expected):
        search.fit(X, LABELS, mlp__sample_weight=WEIGHTS, groups=groups)
    assert_same_search(found, expected)


def test_metadata_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        net = clone(CLASSIFIER).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        weighted = get_scorer("accuracy").set_score_request(sample_weight=True)
        steps = Pipeline([("scale", scaler), ("mlp", net)])
        found, expected = both("GridSearchCV", steps, OF_PIPELINE, cv=3, scoring=weighted)
        for search in (found, expected):
            search.fit(X, LABELS, sample_weight=WEIGHTS)
        assert_same_search(found, expected)


@pytest.mark.parametrize("form", ["csr", "dataframe", "list", "float32", "columns"])
def test_x_may_have_every_form(form):
    pd = pytest.importorskip("pandas")
    forms = {
        "csr": scipy.sparse.csr_matrix,
        "dataframe": lambda X: pd.DataFrame(X, columns=list("abcdef")),
        "list": np.ndarray.tolist,
        "float32": np.float32,
        "columns": np.asfortranarray,
    }
    given = forms[form](X)
    found, expected = both("GridSearchCV", CLASSIFIER, GRID, cv=3, refit=False)
    assert_same_search(found.fit(given, LABELS), expected.fit(given, LABELS))


@pytest.mark.parametrize("scoring", [None, TWO["scoring"]])
def test_a_candidate_that_fails_gets_the_error_score(scoring):
    bad = {"alpha": [1e-4], "learning_rate_init": [0.01, 1e200]}  # the second rate diverges
    refit = "accuracy" if scoring else True
    found, expected = both("GridSearchCV", CLASSIFIER, bad, cv=3, scoring=scoring, refit=refit, error_score=-1.0)
    for search in (found, expected):
        with pytest.warns(FitFailedWarning, match=r"3 fits failed out of a total of 6.(.|\n)*Training diverged"):
            search.fit(X, LABELS)
    assert_same_search(found, expected)


def test_a_failure_may_end_the_search():
    search = ours.GridSearchCV(CLASSIFIER, {"learning_rate_init": [1e200]}, error_score="raise")
    with pytest.raises(ValueError, match="Training diverged in epoch"):
        search.fit(X, LABELS)
    with pytest.raises(ValueError, match=r"All the 5 fits failed.(.|\n)*Training diverged"):
        search.set_params(error_score=0.0).fit(X, LABELS)


def test_a_wrong_parameter_is_an_error_and_not_a_failed_fit():
    with pytest.raises(ValueError, match="Invalid parameter 'alfa'"):
        ours.GridSearchCV(CLASSIFIER, {"alfa": [1.0]}).fit(X, LABELS)
    with pytest.raises(ValueError, match="No fits were performed"):
        ours.GridSearchCV(CLASSIFIER, []).fit(X, LABELS)


@pytest.mark.parametrize(
    "search",
    [
        lambda **options: ours.GridSearchCV(MLPClassifier((3,), max_iter=2, random_state=0), GRID, **options),
        lambda **options: ours.RandomizedSearchCV(StandardScaler(), {"with_mean": [True]}, n_iter=1, **options),
    ],
    ids=["another network", "a transformer"],
)
def test_other_estimators_are_searched_by_scikit_learn(search, monkeypatch):
    monkeypatch.delattr(evaluation.Trials, "evaluate")
    search(cv=2, scoring=lambda model, X, y=None: 0.5, refit=False).fit(X, LABELS)


def test_a_backend_with_workers_elsewhere_is_respected(monkeypatch):
    class Elsewhere(joblib.parallel.ThreadingBackend):
        pass

    monkeypatch.delattr(evaluation.Trials, "evaluate")
    joblib.register_parallel_backend("elsewhere", Elsewhere)
    try:
        with joblib.parallel_backend("elsewhere", n_jobs=2):
            ours.GridSearchCV(CLASSIFIER, {"alpha": [1.0]}, cv=2).fit(X, LABELS)
    finally:
        del joblib.parallel.BACKENDS["elsewhere"]


# ---------------------------------------------------------------- sharing


class Counting(TransformerMixin, BaseEstimator):
    """A transformer that counts its fits."""

    fits: ClassVar[list[int]] = []

    def __init__(self, factor=1.0, random_state=0):
        self.factor, self.random_state = factor, random_state

    def fit(self, X, y=None):
        self.fits.append(len(X))
        return self

    def transform(self, X):
        return X * self.factor


@pytest.mark.parametrize(("random_state", "n_fits"), [(0, 2 * 3), (None, 2 * 2 * 3)])
def test_candidates_share_their_fitted_transformers_unless_these_are_random(random_state, n_fits):
    steps = make_pipeline(StandardScaler(), Counting(random_state=random_state), CLASSIFIER)
    Counting.fits.clear()
    grid = {"counting__factor": [1.0, 2.0], "backpropclassifier__alpha": [1e-4, 1.0]}
    search = ours.GridSearchCV(steps, grid, cv=3, refit=False).fit(X, LABELS)
    assert Counting.fits == [60] * n_fits
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) > 1


def test_transformers_that_cannot_be_pickled_are_not_shared():
    steps = Pipeline([("double", FunctionTransformer(lambda X: 2 * X)), ("mlp", CLASSIFIER)])
    found, expected = both("GridSearchCV", steps, OF_PIPELINE, cv=3, error_score="raise")
    assert_same_search(found.fit(X, LABELS), expected.fit(X, LABELS))


@pytest.mark.parametrize(("random_state", "n_kept"), [(0, 1), (None, 0)])
def test_what_one_candidate_alone_uses_is_not_kept(random_state, n_kept):
    fold = Fold(CLASSIFIER, X, LABELS, {}, np.arange(60), np.arange(60, 90))
    for _ in range(3):
        fold.begin(make_pipeline(Counting(random_state=random_state), clone(CLASSIFIER)))
    assert len(fold._shared._results) == n_kept


def test_the_memory_of_a_pipeline_is_its_own(tmp_path):
    steps = clone(SCALED).set_params(memory=str(tmp_path))
    search = ours.GridSearchCV(steps, OF_PIPELINE, cv=3).fit(X, LABELS)
    assert search.best_estimator_.memory == str(tmp_path)
    assert list(tmp_path.iterdir())
    assert ours.GridSearchCV(SCALED, OF_PIPELINE, cv=3).fit(X, LABELS).best_estimator_.memory is None


def test_the_data_of_a_fold_are_checked_and_laid_out_once(monkeypatch):
    calls, examples = [], Perceptron._examples

    def counted(self, X, *args):
        calls.append(len(X))
        return examples(self, X, *args)

    monkeypatch.setattr(Perceptron, "_examples", counted)
    ours.GridSearchCV(CLASSIFIER, GRID, cv=3, n_jobs=1, refit=False).fit(X, LABELS)
    assert calls == [60] * 3


def test_a_supervised_selection_sees_only_the_training_rows():
    steps = make_pipeline(SelectKBest(k=2), CLASSIFIER)
    grid = {"selectkbest__k": [1, 3], "backpropclassifier__alpha": [1e-4, 1.0]}
    found, expected = both("GridSearchCV", steps, grid, cv=3)
    assert_same_search(found.fit(X, LABELS), expected.fit(X, LABELS))


# ---------------------------------------------------------------- threads and interrupts


def test_candidates_train_side_by_side():
    threads, together = set(), threading.Barrier(2, timeout=60)

    def meet(epoch, max_iter, loss):
        if epoch == 1 and threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait()

    with watch(meet):
        ours.GridSearchCV(CLASSIFIER, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2, refit=False).fit(X, LABELS)
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_ctrl_c_ends_a_search_soon(press_ctrl_c):
    net = BackpropClassifier((7,), max_iter=10**9, n_iter_no_change=np.inf, random_state=0)
    start, calls = [], itertools.count()

    def press(epoch, max_iter, loss):
        if next(calls) == 0:
            start.append(time.perf_counter())
            press_ctrl_c()

    with watch(press), pytest.raises(KeyboardInterrupt):
        ours.GridSearchCV(net, GRID, cv=3).fit(X, LABELS)
    assert time.perf_counter() - start[0] < 10  # it takes a second on a machine that is not busy


def test_a_verbose_search_says_what_it_does(capsys):
    ours.GridSearchCV(CLASSIFIER, {"alpha": [1e-4, 1.0]}, cv=3, verbose=3, refit=False).fit(X, LABELS)
    said = capsys.readouterr().out
    assert said.startswith("Fitting 3 folds for each of 2 candidates, totalling 6 fits\n")
    assert len(re.findall(r"\[CV [123]/3\] END \.+alpha=(0.0001|1.0);, score=0\.\d{3} total time=", said)) == 6


def test_warnings_of_a_candidate_reach_the_user():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        ours.GridSearchCV(CLASSIFIER, {"alpha": [1.0]}, cv=2, refit=False).fit(X, LABELS)


def test_a_search_is_cloned_and_stored():
    search = ours.GridSearchCV(CLASSIFIER, GRID, cv=3)
    assert clone(search).get_params()["estimator__max_iter"] == 6
    fitted = pickle.loads(pickle.dumps(search.fit(X, LABELS)))
    assert type(fitted).__module__ == "fastbp.model_selection"
    assert_array_equal(fitted.predict_proba(X), search.predict_proba(X))
