"""Every call into a kernel has a bound on its work, so that Ctrl-C is answered promptly. Work is counted, not timed."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse

from fastbp import BackpropClassifier
from fastbp.data.examples import as_examples
from fastbp.kernels import gradient, optimizers, prediction, records, shuffle, step
from fastbp.kernels.machine import registers
from fastbp.network import costs
from fastbp.network.architecture import Network
from fastbp.network.memory import aligned_zeros
from fastbp.parallel.crew import CREW
from fastbp.parallel.team import Team
from fastbp.training import shuffling
from fastbp.training.optimizer_state import set_rates
from fastbp.training.trainer import Evaluator, Trainer
from fastbp.training.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

F32 = np.dtype(np.float32)
# BOUND: floating-point operations that take some hundredths of a second on one core.
BOUND = 5e9


class Counter:
    """Counts the floating-point operations of calls into the kernels. It makes the calls if `runs`."""

    def __init__(self, monkeypatch, *, runs: bool):
        self.calls: list[float] = []
        self.trained = self.predicted = 0  # rows that were trained on, rows that were predicted
        self._train, self._predict, self._runs = step.train, prediction.predict, runs
        monkeypatch.setattr(step, "train", self.train)
        monkeypatch.setattr(prediction, "predict", self.predict)

    @staticmethod
    def weights(layers, examples_inputs) -> tuple[float, int]:
        """(weights of the first layer that an average row uses, weights of all other layers)."""
        X32, X64, strides, _, indptr = examples_inputs
        widths = layers["width"].tolist()
        entries = (X32.size + X64.size) / strides[2] if indptr.size else widths[0]
        return entries * widths[1], sum(n * m for n, m in pairwise(widths[1:]))

    def train(self, *args) -> None:
        _, _, tables, _, _, examples, _, start, stop = args
        layers, units, tasks, (plan,), *_ = tables
        share = plan.examples_begin, plan.examples_end, plan.update_begin, plan.update_end
        first, others = self.weights(layers, examples[:5])
        rows, n_tasks = int(stop - start), len(tasks) - 1
        whole = share == (0, n_tasks, 0, n_tasks)
        if not whole:
            assert rows <= plan.chunk
        task_rows = -(-rows // (registers.ROWS * n_tasks)) * registers.ROWS
        through = rows if whole else min(share[1] * task_rows, rows) - min(share[0] * task_rows, rows)
        part = units[tasks[share[2]] : tasks[share[3]]]
        parameters = int((part["n_rows"] * part["n_columns"]).sum())
        n_chunks = -(-rows // min(plan.chunk, plan.batch))
        forward_and_back = 2.0 * through * (first + others + (others if plan.learns else 0))
        of_gradient = 2.0 * rows * (first + others) * parameters / (units["n_rows"] * units["n_columns"]).sum()
        self.calls.append(forward_and_back + (of_gradient if plan.learns else 0) + 10.0 * parameters * n_chunks)
        self.trained += through
        if self._runs:
            self._train(*args)

    def predict(self, *args) -> None:
        _, _, (layers, _), _, _, inputs, _, start, stop, *_ = args
        first, others = self.weights(layers, inputs)
        self.calls.append(2.0 * (stop - start) * (first + others))
        self.predicted += stop - start
        if self._runs:
            self._predict(*args)


# {name: (widths, entries per row of a sparse X)}. Networks of this size train for hours, so nothing is computed here.
HUGE = {
    "narrow": ((8, 16, 1), None),
    "usual": ((784, 100, 10), None),
    "wide": ((784, 2048, 1024, 10), None),
    "wider": ((4096, 4096, 10), None),
    "deep": ((64, *[1024] * 12, 10), None),
    "many features": ((100_000, 50, 3), None),
    "a linear model": ((500_000, 1), None),
    "text": ((200_000, 100, 2), 200),
    "many classes": ((64, 512, 20_000), None),
}


def huge(name: str, n: int):
    widths, entries = HUGE[name]
    shape = Network(widths, ("relu",) * (len(widths) - 2) + ("identity",), "squared_error", F32)
    if entries is None:
        X = np.zeros((n, widths[0]), F32)  # memory that nobody touches
    else:
        columns = np.arange(n * entries) % widths[0]
        X = scipy.sparse.csr_matrix((np.ones(n * entries, F32), columns, np.arange(n + 1) * entries), (n, widths[0]))
    return shape, as_examples(X, F32, codes=np.zeros(n, np.int64))


@pytest.fixture
def counter(monkeypatch):
    monkeypatch.setattr(gradient, "transpose_all", lambda *args: None)
    return Counter(monkeypatch, runs=False)


@pytest.mark.parametrize("name", HUGE)
class TestBound:
    N = 3000

    @pytest.mark.parametrize("batch", [1, 200, 1500, N])
    def test_of_training_in_batches_of_any_size(self, name, batch, counter):
        shape, examples = huge(name, self.N)
        options = {"batch": batch, "team": Team(1), "optimizer": optimizers.ADAM}
        trainer = Trainer(shape, aligned_zeros(shape.layout.size, F32), examples, **options)
        trainer.epoch(np.arange(self.N))
        assert counter.trained == self.N
        assert max(counter.calls) <= BOUND
        assert len(counter.calls) == trainer.calls(self.N)

    def test_of_a_full_batch(self, name, counter):
        shape, examples = huge(name, self.N)
        theta = aligned_zeros(shape.layout.size, F32)
        Trainer(shape, theta, examples, batch=self.N, team=Team(1)).loss_and_gradient(theta)
        assert counter.trained == self.N
        assert max(counter.calls) <= BOUND

    def test_of_validation_and_prediction(self, name, counter):
        shape, examples = huge(name, self.N)
        theta, order = aligned_zeros(shape.layout.size, F32), np.arange(self.N)
        evaluator = Evaluator(shape, examples, batch=self.N, team=Team(1))
        out = np.empty((self.N, shape.widths[-1]), F32)
        evaluator.loss(theta, order)
        evaluator.predict(theta, order, out)
        Workspace(shape, examples, self.N, Team(1)).predict(theta, order, out)
        assert counter.trained == self.N
        assert counter.predicted == 2 * self.N
        assert max(counter.calls) <= BOUND

    def test_is_used(self, name, counter):
        """Calls are not so short that making them costs more than their work."""
        shape, examples = huge(name, self.N)
        theta = aligned_zeros(shape.layout.size, F32)
        Trainer(shape, theta, examples, batch=self.N, team=Team(1)).loss_and_gradient(theta)
        assert len(counter.calls) == 1 or np.mean(counter.calls) > BOUND / 100


def problem(form=np.asarray):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 30))
    return form(X * (X > 0)), (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


FITS = {
    "adam": {"batch_size": 300},
    "sgd": {"solver": "sgd", "batch_size": 300},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.4, "batch_size": 100},
    "gd": {"solver": "gd"},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", FITS)
def test_a_bound_far_below_a_chunk_holds_in_every_solver_and_changes_no_bit(name, form, monkeypatch):
    X, y = problem(form)

    def model():
        clf = BackpropClassifier((64, 64), activation="tanh", max_iter=2, random_state=0, n_jobs=1, **FITS[name])
        clf.fit(X, y)
        return [*clf.coefs_, np.array(clf.loss_curve_), clf.predict_proba(X), *clf.hidden_activations(X)]

    expected = model()
    bound = 4e6
    monkeypatch.setattr(costs, "CALL_WORK", bound)
    monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
    counter = Counter(monkeypatch, runs=True)
    for found, array in zip(model(), expected, strict=True):
        np.testing.assert_array_equal(found, array)
    assert max(counter.calls) <= bound
    assert sum(counter.calls) > 10 * bound


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_chunk_in_several_calls_gives_the_bits_of_one_call_on_any_number_of_threads(n_threads, monkeypatch):
    class Tasks(Team):
        def run(self, kernel, *args, work):
            tables, *_ = args
            plan = tables[records.Tables._fields.index("plan")]
            shares.append(tuple(plan[["examples_begin", "examples_end", "update_begin", "update_end"]][0]))
            return CREW.run(kernel, self.n_threads, *args)

    shares: list[tuple[int, ...]] = []
    shape = Network((30, 64, 64, 3), ("tanh", "relu", "softmax"), "log_loss", np.dtype(np.float64))
    rng = np.random.default_rng(0)
    X, codes, weights = rng.normal(size=(500, 30)), rng.integers(3, size=500), rng.uniform(0, 2, 500)
    examples = as_examples(X, shape.dtype, codes=codes, weights=weights)
    start = shape.layout.pack(
        [rng.normal(size=size) / 8 for size in ((30, 64), (64, 64), (64, 3))], [np.zeros(64)] * 2 + [np.zeros(3)]
    )

    def results(team):
        theta = start.copy()
        trainer = Trainer(shape, theta, examples, batch=300, team=team, optimizer=optimizers.ADAM, alpha=0.1, chunk=128)
        set_rates(trainer, learning_rate_init=0.01, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
        losses = [trainer.epoch(rng_order) for rng_order in (np.arange(500), np.arange(500)[::-1].copy())]
        return [np.array(losses), theta, trainer.theta_t, trainer.moment_1, trainer.moment_2, trainer.t]

    expected = results(Team(1))
    monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
    monkeypatch.setattr(costs, "CALL_WORK", 2e6)
    for found, array in zip(results(Tasks(n_threads)), expected, strict=True):
        np.testing.assert_array_equal(found, array)
    assert len(set(shares)) >= 4  # several shares of each phase


def test_a_long_shuffle_takes_several_calls_and_gives_the_order_of_one(monkeypatch):
    n, calls, kernel = 10_000, [], shuffle.shuffle

    def counted(x, start, stop, state):
        calls.append(start - stop)
        kernel(x, start, stop, state)

    order, state = np.arange(n), np.random.RandomState(3)
    assert shuffling._state_is_known()  # this calls the kernel once
    monkeypatch.setattr(shuffling, "CALL_EXCHANGES", 999)
    monkeypatch.setattr(shuffle, "shuffle", counted)
    shuffling.shuffle(order, state)
    expected, expected_state = np.arange(n), np.random.RandomState(3)
    expected_state.shuffle(expected)
    np.testing.assert_array_equal(order, expected)
    assert state.randint(2**31) == expected_state.randint(2**31)
    assert max(calls) == 999
    assert sum(calls) == n - 1


def test_the_bound_of_a_shuffle_is_some_hundredths_of_a_second():
    # An exchange in a long order misses the caches, and a miss takes some nanoseconds.
    assert shuffling.CALL_EXCHANGES * 10e-9 < 0.05
