"""HalvingSearchCV on Dask has the results of one machine, and its survivors stay on their workers."""

import gc
import pickle

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.dask
from fastbp import BackpropClassifier, BackpropRegressor, model_selection
from fastbp.dask import cluster
from fastbp.dask.halving import DistributedTrials, Paused, Site, begin_trial, continue_trial
from fastbp.estimators.run import Run
from fastbp.model_selection.evaluation import Experiment, LocalTrials, Trial
from support.halving import assert_same_search, eventually

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(6)
X = RNG.normal(size=(90, 6))
LABELS = np.digitize(X[:, 0] + 0.3 * RNG.normal(size=90), [-0.4, 0.4])
NUMBERS = X[:, 0] - X[:, 1] ** 2
WEIGHTS = RNG.integers(1, 4, size=90) * 0.5
GRID = {"alpha": [1e-4, 1e-2, 1.0], "learning_rate_init": [1e-4, 1e-3, 1e-2]}
CLASSIFIER = BackpropClassifier((7,), max_iter=18, random_state=0, n_iter_no_change=18)
REGRESSOR = BackpropRegressor(hidden_layer_sizes=(7,), max_iter=18, random_state=0, early_stopping=True)
SCALED = Pipeline([("scale", StandardScaler()), ("mlp", CLASSIFIER)])
FRAME = pd.DataFrame(X, columns=list("abcdef"))


@pytest.fixture(scope="module", autouse=True)
def client(dask_client):
    return dask_client


# ---------------------------------------------------------------- the same results


CASES = {
    "classifier": (CLASSIFIER, X, LABELS, {"return_train_score": True}),
    "sample weights and two scorers": (CLASSIFIER, X, LABELS, {"scoring": ["accuracy", "neg_log_loss"]}),
    "dropout and a schedule": (
        clone(CLASSIFIER).set_params(solver="sgd", learning_rate="cosine", dropout=0.3),
        X,
        LABELS,
        {"max_epochs": 9},
    ),
    "estimator for Dask, solver gd": (
        fastbp.dask.BackpropClassifier((7,), solver="gd", gtol=0.0, max_iter=18, random_state=0),
        X,
        LABELS,
        {},
    ),
    "regressor with early stopping": (REGRESSOR, X, NUMBERS, {"scoring": "neg_mean_absolute_error"}),
    "pipeline on a dataframe": (SCALED, FRAME, LABELS, {"cv": KFold(3, shuffle=True, random_state=0)}),
    "sparse X": (CLASSIFIER, scipy.sparse.csr_array(X * (X > 0)), LABELS, {"n_candidates": 4, "random_state": 0}),
}


@pytest.mark.parametrize(("estimator", "X", "y", "options"), CASES.values(), ids=CASES)
def test_the_results_are_those_of_one_machine(estimator, X, y, options):
    grid = {"mlp__" * (estimator is SCALED) + name: values for name, values in GRID.items()}
    weights = {"sample_weight": WEIGHTS} if "scoring" in options else {}
    options = {"cv": 3, "refit": "neg_log_loss" if isinstance(options.get("scoring"), list) else True} | options
    expected = model_selection.HalvingSearchCV(estimator, grid, **options).fit(X, y, **weights)
    found = fastbp.dask.HalvingSearchCV(estimator, grid, **options).fit(X, y, **weights)
    assert_same_search(found, expected)
    assert_array_equal(found.predict(X), expected.predict(X))


def test_a_candidate_that_fails_does_not_survive():
    rates = {"learning_rate_init": [1e-2, 1e200, 1e-3]}
    search = fastbp.dask.HalvingSearchCV(CLASSIFIER, rates, cv=3, min_epochs=2)
    with pytest.warns(FitFailedWarning, match="3 fits failed"), pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, LABELS)
    assert search.cv_results_["rung"].tolist() == [1, 0, 0]
    assert search.cv_results_["rank_test_score"].tolist() == [1, 3, 2]


def test_an_error_of_a_candidate_is_raised_if_the_user_wants_it():
    rates = {"learning_rate_init": [1e-2, 1e200, 1e-3]}
    search = fastbp.dask.HalvingSearchCV(CLASSIFIER, rates, cv=3, error_score="raise")
    with pytest.raises(ValueError, match="diverged"):
        search.fit(X, LABELS)


def test_the_workers_have_the_configuration_of_scikit_learn():
    with config_context(enable_metadata_routing=True):
        network = clone(CLASSIFIER).set_fit_request(sample_weight=True)
        scaled = Pipeline([("scale", StandardScaler().set_fit_request(sample_weight=True)), ("mlp", network)])
        options = {"scoring": get_scorer("accuracy").set_score_request(sample_weight=True), "cv": 3}
        arguments = scaled, {"mlp__alpha": [1e-4, 1e-2, 1.0]}
        expected = model_selection.HalvingSearchCV(*arguments, **options).fit(X, LABELS, sample_weight=WEIGHTS)
        found = fastbp.dask.HalvingSearchCV(*arguments, **options).fit(X, LABELS, sample_weight=WEIGHTS)
    assert_same_search(found, expected)


def test_a_search_can_be_cloned_and_pickled():
    search = clone(fastbp.dask.HalvingSearchCV(CLASSIFIER, {"alpha": [1e-4, 1.0]}, cv=3)).fit(X, LABELS)
    assert_array_equal(pickle.loads(pickle.dumps(search)).predict(X), search.predict(X))


# ---------------------------------------------------------------- the trials on the workers

EPOCHS = []  # in a worker: the epochs of each advance of a run
ADVANCE = Run.advance


def count_epochs():
    """Count all epochs that this process trains from now on."""

    def advance(run, n_epochs=None):
        before = run.n_iter
        ADVANCE(run, n_epochs)
        EPOCHS.append(run.n_iter - before)

    EPOCHS.clear()
    Run.advance = advance


def counted_epochs():
    """The epochs that were counted. From now on this process does not count."""
    Run.advance = ADVANCE
    return sum(EPOCHS)


def living_trials():
    """The number of trials in the memory of this process."""
    gc.collect()
    return sum(isinstance(thing, Trial) for thing in gc.get_objects())


def forget_trainings(dask_worker):
    """Lose the trainings of all paused trials, as a worker does when it moves them to its disk."""
    for paused in dask_worker.data.values():
        if isinstance(paused, Paused):
            paused.training = None


def experiment():
    """Three candidates on two folds."""
    options = {"scorer": check_scoring(CLASSIFIER), "score_params": {}, "error_score": "raise", "verbose": 0}
    candidates = [{"alpha": alpha} for alpha in (1e-4, 1e-2, 1.0)]
    splits = list(KFold(2).split(X))
    return Experiment(CLASSIFIER, candidates, X, LABELS, splits, {}, options)


def scores(results):
    return [result["test_scores"] for result in results]


def test_survivors_go_on_where_they_are_so_no_epoch_is_trained_twice(client):
    client.run(count_epochs)
    try:
        search = fastbp.dask.HalvingSearchCV(CLASSIFIER, GRID, cv=3, refit=False).fit(X, LABELS)
    finally:
        counts = client.run(counted_epochs).values()
    assert sum(counts) == search.n_epochs_ == 3 * (9 * 2 + 3 * 4 + 12)
    assert all(counts)  # both workers have trained


def test_a_worker_frees_the_memory_of_a_candidate_that_is_dropped(client):
    trials = DistributedTrials(experiment())
    trials.evaluate(range(3), 2, keep=True)
    assert sum(client.run(living_trials).values()) == 6
    trials.drop(1)
    assert eventually(lambda: sum(client.run(living_trials).values()) == 4)
    trials.evaluate([0, 2], 4, keep=False)
    assert eventually(lambda: sum(client.run(living_trials).values()) == 0)
    del trials
    assert eventually(lambda: not any(client.has_what().values()))


def test_a_trial_without_its_training_begins_again_with_the_same_result(client):
    local, distributed = LocalTrials(experiment(), 1), DistributedTrials(experiment())
    for epochs in (2, 5, None):
        expected = local.evaluate(range(3), epochs, keep=True)
        found = distributed.evaluate(range(3), epochs, keep=True)
        assert scores(found) == scores(expected)
        assert [distributed.n_iter(c) for c in range(3)] == [local.n_iter(c) for c in range(3)]
        client.run(forget_trainings)


def test_an_experiment_travels_with_X_once_and_without_the_data_of_its_folds():
    sent = experiment()
    sent.evaluate(0, sent.begin(0), 2)
    stored = pickle.dumps(sent)
    assert X.nbytes < len(stored) < 2 * X.nbytes
    copy = pickle.loads(stored)
    assert scores([copy.evaluate(0, copy.begin(0), 2)]) == scores([sent.evaluate(0, sent.begin(0), 2)])


def test_a_task_that_runs_twice_has_the_same_result():
    site = Site(experiment(), {}, "a search")
    begun = begin_trial(site, 3, 2)
    first, second = continue_trial(begun, 6), continue_trial(begun, 6)
    assert (first.n_iter, second.n_iter) == (6, 6)
    assert first.result["test_scores"] == second.result["test_scores"]
    assert begin_trial(site, 3, 6).result["test_scores"] == first.result["test_scores"]


def test_a_pickle_of_a_paused_trial_has_the_result_and_not_the_training():
    paused = begin_trial(Site(experiment(), {}, "a search"), 0, 2)
    stored = pickle.dumps(paused)
    assert len(stored) < X.nbytes
    copy = pickle.loads(stored)
    assert (copy.result, copy.n_iter) == (paused.result, 2)
    assert continue_trial(copy, 4) is None


# ---------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_a_dask_collection_is_refused_with_the_way_out(name):
    given = {"X": X, "y": LABELS, "sample_weight": WEIGHTS}
    given[name] = da.from_array(given[name])
    with pytest.raises(TypeError, match=rf"{name} must be in memory, .* Pass {name}.compute\(\), or"):
        fastbp.dask.HalvingSearchCV(CLASSIFIER, GRID).fit(**given)


def test_without_a_client_the_error_says_how_to_have_one(monkeypatch):
    def no_client():
        raise ValueError("No global client found")

    monkeypatch.setattr(cluster, "get_client", no_client)
    with pytest.raises(RuntimeError, match=r"Create one before: client = dask.distributed.Client\(\)"):
        fastbp.dask.HalvingSearchCV(CLASSIFIER, GRID).fit(X, LABELS)
