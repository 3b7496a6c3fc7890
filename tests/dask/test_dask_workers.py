"""In Dask's workers: the threads of a fit, and searches with candidates that fail."""

import threading

import joblib
import numba
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV

from fastbp import BackpropClassifier
from fastbp.parallel.team import MIN_WORK, team_for
from support.programs import data, digest, in_worker

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def n_threads(n_jobs):
    return team_for(n_jobs, 10 * MIN_WORK).n_threads


def submitted(client, *n_jobs):
    return client.gather([client.submit(n_threads, n, pure=False) for n in n_jobs])


def delayed(client, *n_jobs):
    return list(dask.compute(*[dask.delayed(n_threads, pure=False)(n) for n in n_jobs], scheduler=client))


def by_joblib(client, *n_jobs):
    with joblib.parallel_backend("dask"):
        return joblib.Parallel()(joblib.delayed(n_threads)(n) for n in n_jobs)


@pytest.mark.parametrize("run", [submitted, delayed, by_joblib])
def test_in_a_task_n_jobs_none_is_one_thread_and_a_number_is_honoured(run, dask_client):
    assert run(dask_client, None, None, 1, 2, -1) == [1, 1, 1, 2, 4]


def test_a_fit_in_a_task_enters_no_parallel_region_and_gives_the_same_bits(dask_client):
    expected = digest(n_jobs=1)
    found = dask_client.gather([dask_client.submit(in_worker, pure=False) for _ in range(4)])
    assert found == [[expected, 0]] * 4


at_once = threading.Barrier(2)


def n_threads_beside_another():
    at_once.wait(60)
    return team_for(None, 10 * MIN_WORK).n_threads


def test_tasks_at_once_in_one_process_have_a_thread_each_and_its_client_has_them_all():
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with cluster, cluster.get_client() as client:
        assert client.gather([client.submit(n_threads_beside_another, pure=False) for _ in range(2)]) == [1, 1]
        assert n_threads(None) == numba.get_num_threads()


# ---------------------------------------------------------------- searches


def search(**parameters):
    """A search over two candidates. The second one cannot be fitted."""
    grid = {"hidden_layer_sizes": [(4,), (0,)]}
    return GridSearchCV(BackpropClassifier(max_iter=2, random_state=0), grid, cv=2, **parameters)


@pytest.mark.usefixtures("dask_client")
def test_a_candidate_that_fails_is_scored_nan_with_a_warning_and_the_others_are_searched():
    with (
        joblib.parallel_backend("dask"),
        pytest.warns(FitFailedWarning, match="hidden_layer_sizes must be > 0"),
        pytest.warns(UserWarning, match="scores are non-finite"),
    ):
        found = search().fit(*data())
    fitted, failed = found.cv_results_["mean_test_score"]
    assert 0 < fitted <= 1
    assert failed != failed
    assert found.best_params_ == {"hidden_layer_sizes": (4,)}


@pytest.mark.usefixtures("dask_client")
def test_a_candidate_that_fails_raises_its_error_if_that_is_asked_for():
    with joblib.parallel_backend("dask"), pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        search(error_score="raise").fit(*data())
