"""benchmarks/step_cost.py, the model of a step on Dask, counts the tasks of fastbp.dask and adds up their times."""

import importlib.util
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from fastbp.dask import worker
from fastbp.dask.trainer import DistributedTrainer
from fastbp.kernels import optimizers
from fastbp.network.architecture import Network
from support.documents import ROOT

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def step_cost():
    spec = importlib.util.spec_from_file_location("step_cost", ROOT / "benchmarks" / "step_cost.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cluster(step_cost):
    return step_cost.Cluster(round=0.02, task=0.001, hop=0.005, link=1e9, client=0.5e9)


@pytest.fixture
def work(step_cost):
    return step_cost.Work(parameters=100_000, itemsize=4, row=1e-5, call=0.002, addition=1e-4, update=0.003)


class Recorded:
    """A stand-in for `fastbp.dask.cluster.Cluster`. It records the tasks of a round, and answers them."""

    def __init__(self, n_parameters):
        self.tasks, self.parts, self.answer = [], [], np.zeros(n_parameters)

    def submit(self, function, *args):
        self.tasks.append(function)
        if function is worker.total:
            self.parts.append(len(args[0]))
        return function

    def send(self, values):
        return self.submit(worker.these, values)

    def compute(self, ask, recover):
        ask()
        return [worker.Sums(1.0, 1.0, self.answer)]


@pytest.mark.parametrize("workers", [1, 2, 8, 9, 64, 65, 1000])
def test_the_tasks_of_a_round_are_those_that_a_fit_submits(step_cost, workers):
    network = Network((3, 2), ("softmax",), "log_loss", np.dtype(np.float32))
    recorded = Recorded(network.layout.n_parameters)
    partitions = SimpleNamespace(futures=[None] * workers, cluster=recorded)
    examples = SimpleNamespace(partitions=partitions, targets=[None] * workers, recover=None)
    theta = np.zeros(network.layout.size, network.dtype)
    trainer = DistributedTrainer(
        network, theta, examples, batch=workers, optimizer=optimizers.NONE, alpha=0.0, n_jobs=None
    )
    trainer.loss_and_gradient(theta)
    assert step_cost.tasks(workers) == len(recorded.tasks)
    parts, levels = iter(recorded.parts), step_cost.tree(workers)
    assert [(n, max(itertools.islice(parts, n))) for n, _ in levels] == levels
    assert list(parts) == []
    assert recorded.answer.itemsize == step_cost.SUM_BYTES


def test_one_worker_waits_for_a_round_its_rows_and_bytes_both_ways(step_cost, cluster, work):
    found = step_cost.seconds(work, cluster, 1000, 1)
    assert found == pytest.approx((0.02, 400_000 / 0.5e9, 0.002 + 1000e-5, 800_000 / 0.5e9, 0.003))


def test_sixty_four_workers_share_rows_and_wait_for_tasks_copies_and_two_levels_of_sums(step_cost, cluster, work):
    found = step_cost.seconds(work, cluster, 1000, 64)
    assert found.scheduling == pytest.approx(0.02 + 0.001 * (1 + 64 + 8 + 1 - 2))
    assert found.parameters == pytest.approx(400_000 / 0.5e9 + 63 * 400_000 / 1e9)
    assert found.gradient == pytest.approx(0.002 + 16e-5)
    assert found.sums == pytest.approx(2 * (0.005 + 7 * (800_000 / 1e9 + 1e-4)) + 800_000 / 0.5e9)
    assert found.update == 0.003


def test_every_worker_gets_the_parameters_and_gives_a_sum_and_the_scheduler_passes_both_on(step_cost, work):
    assert step_cost.moved(work, 1) == 2 * 100_000 * (4 + 8)
    assert step_cost.moved(work, 64) - step_cost.moved(work, 1) == 63 * 100_000 * (4 + 8)


@pytest.mark.parametrize("rows", [1, 300, 100_000, 10_000_000])
def test_no_number_of_workers_is_faster_than_the_fastest(step_cost, cluster, work, rows):
    best = step_cost.fastest(work, cluster, rows)
    assert 1 <= best <= rows
    times = [sum(step_cost.seconds(work, cluster, rows, n)) for n in range(1, min(rows, 2000) + 1)]
    assert times[best - 1] <= 1.01 * min(times)


@pytest.mark.parametrize("rows", [100_000, 10_000_000])
def test_the_fastest_number_is_about_the_square_root_that_the_readme_has(step_cost, cluster, work, rows):
    rule = math.sqrt(rows * work.row / (8 / 7 * cluster.task + work.parameters * work.itemsize / cluster.link))
    assert step_cost.fastest(work, cluster, rows) == pytest.approx(rule, rel=0.2)


def test_a_network_adds_its_latency_and_bounds_the_bandwidth(step_cost, cluster):
    assert cluster.on_network(0.0, np.inf) == cluster
    slow = cluster.on_network(0.001, 0.6e9)
    assert slow == pytest.approx((0.022, 0.001, 0.007, 0.6e9, 0.5e9))
