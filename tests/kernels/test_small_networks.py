"""Small networks equal the reference: every loss, activation, optimiser, form of data, width and number of rows.

With NUMBA_DISABLE_JIT=1 the kernels run as Python with the same numbers, and coverage sees them. The command follows
the marker `coverage-command` in the documents. It has to run all lines and branches of the kernels, except those that
pyproject.toml lists with the reason.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from fastbp import BackpropClassifier
from fastbp.data.examples import as_examples
from fastbp.kernels import optimizers, prediction, step
from fastbp.kernels.compiling import jit
from fastbp.kernels.machine import barrier
from fastbp.network import costs
from fastbp.parallel.team import Team
from fastbp.training import shuffling
from fastbp.training.evaluation import predict, predict_row
from fastbp.training.optimizer_state import set_rates
from fastbp.training.trainer import Evaluator, Trainer
from fastbp.training.workspace import Workspace
from support import reference
from support.problems import FORMS, TOLERANCES, Problem, assert_close, over_dtypes
from support.steps import Tasks

COMBINATIONS = [(loss, out) for loss, outs in reference.LEGAL_OUTPUTS.items() for out in outs]
# On any CPU, these networks have panels of one, two and three vectors, layers of several panels, and a layer of whole
# panels only (48 units). They also have a narrow layer (after 65 units), except on CPUs with short vectors.
WIDTHS = [(3, 2), (70, 1), (2, 65, 1), (3, 48, 2), (5, 9, 20, 3), (7, 115, 37, 5)]
ROWS = [1, 2, 3, 6, 29]  # the rows left after full tiles are one, at most half a tile, or more


@jit.entry
def train_member(rank, members, crew, tables, parameters, buffers, examples, order, start, stop):
    step._train(rank, members, crew, tables, parameters, buffers, examples, order, start, stop, None)


@jit.entry
def predict_member(rank, members, crew, tables, parameters, activations, inputs, order, start, stop, n_tasks, out):
    prediction._predict(
        rank, members, crew, tables, parameters, activations, inputs, order, start, stop, n_tasks, out
    )  # fmt: skip


class Members(Tasks):
    """Three Python threads share the tasks, in interpreted mode too."""

    def __init__(self, n_threads):
        super().__init__(n_threads)
        self.crew = np.zeros(barrier.CREW_FIELDS, np.int64)

    def run(self, kernel, *args, work):
        member = train_member if kernel is step.train else predict_member
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(member, rank, 3, self.crew, *args) for rank in range(3)]:
                done.result()


def assert_gradient_is_the_references(problem, trainer):
    dtype = problem.network.dtype
    J, coef_grads, intercept_grads = problem.reference_loss_and_gradient()
    assert trainer.loss_and_gradient(problem.theta) == pytest.approx(J, rel=TOLERANCES[dtype])
    found_coefs, found_intercepts = problem.network.layout.unpack(trainer.grad)
    assert_close(found_coefs + found_intercepts, coef_grads + intercept_grads, dtype)


@over_dtypes
@pytest.mark.parametrize(("loss", "out"), COMBINATIONS)
def test_loss_gradient_and_prediction_are_those_of_the_reference_for_every_loss(loss, out, dtype):
    problem = Problem((5, 9, 3), dtype, loss=loss, out=out)
    assert_gradient_is_the_references(problem, problem.trainer())
    expected = reference.forward(
        problem.dense, problem.coefs, problem.intercepts, activation="tanh", out_activation=out
    )
    found = predict(problem.network, problem.theta, problem.examples, np.arange(29), Team(1))
    assert_close([found], expected[-1:], dtype)


@over_dtypes
@pytest.mark.parametrize("hidden", reference.HIDDEN_ACTIVATIONS)
def test_the_gradient_is_that_of_the_reference_for_every_activation(hidden, dtype):
    problem = Problem((5, 9, 20, 3), dtype, hidden=hidden)
    assert_gradient_is_the_references(problem, problem.trainer())


@over_dtypes
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("rows", ROWS)
def test_the_gradient_is_that_of_the_reference_for_every_width_and_number_of_rows(widths, rows, dtype):
    problem = Problem(widths, dtype, loss="squared_error", out="identity", rows=rows)
    assert_gradient_is_the_references(problem, problem.trainer())


@over_dtypes
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("widths", [(5, 9, 3), (70, 40, 2)], ids=str)
def test_the_gradient_is_that_of_the_reference_for_every_form_of_the_data(form, widths, dtype):
    problem = Problem(widths, dtype, form=form)
    assert_gradient_is_the_references(problem, problem.trainer())


@over_dtypes
@pytest.mark.parametrize("form", ["rows", "sparse"])
def test_chunks_tasks_and_calls_give_the_gradient_of_the_reference(form, dtype, monkeypatch):
    problem = Problem((5, 9, 20, 3), dtype, form=form)
    assert_gradient_is_the_references(problem, problem.trainer(chunk=8))
    assert_gradient_is_the_references(problem, problem.trainer(chunk=16, team=Tasks(3)))
    with monkeypatch.context() as patch:
        patch.setattr(costs, "FEW", 0)  # so that gradients are summed by groups
        patch.setattr(costs, "GROUP_WORK", 0)
        for team in (Team(1), Tasks(3)):
            assert_gradient_is_the_references(problem, problem.trainer(chunk=16, team=team))
    monkeypatch.setattr(costs, "CALL_WORK", 1e4)  # so that a chunk takes several calls
    monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
    large = Problem((5, 9, 20, 3), dtype, form=form, rows=80)
    for team in (Team(1), Tasks(2)):
        assert_gradient_is_the_references(large, large.trainer(team=team))
    serial, parallel = (
        predict(problem.network, problem.theta, problem.examples, np.arange(29)[::-1].copy(), team)
        for team in (Team(1), Tasks(3))
    )
    np.testing.assert_array_equal(serial, parallel)


@pytest.mark.parametrize("form", ["rows", "sparse"])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_three_threads_give_the_bits_of_one(form, n_groups, monkeypatch):
    monkeypatch.setattr(costs, "n_groups", lambda network, rows: n_groups)
    problem = Problem((5, 9, 20, 3), np.dtype(np.float64), form=form, rows=80)
    order, found = np.random.default_rng(4).permutation(80), []
    for team in (Team(1), Members(3), Members(6)):
        trainer = problem.trainer(batch=50, chunk=32, team=team, optimizer=optimizers.ADAM)
        set_rates(trainer, learning_rate_init=0.01, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
        losses = [trainer.epoch(order) for _ in range(3)]
        outputs = predict(problem.network, trainer.theta, problem.examples, order, team)
        found.append([np.array(losses), trainer.theta, trainer.moment_1, trainer.moment_2, outputs])
    for several in found[1:]:
        for one, other in zip(found[0], several, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["rows", "sparse"])
def test_threads_that_predict_wait_for_each_other_before_a_chunk_of_another_size(form):
    problem = Problem((5, 9, 20, 3), np.dtype(np.float64), form=form, rows=117)
    order = np.arange(117)
    expected = predict(problem.network, problem.theta, problem.examples, order, Team(1))
    team, out = Members(3), np.full_like(expected, np.nan)
    Workspace(problem.network, problem.examples, 117, team, chunk=96).predict(problem.theta, order, out)
    np.testing.assert_array_equal(out, expected)
    assert team.crew[barrier.PASSED] >= 2  # threads share chunks of 96 and 21 rows differently


@pytest.mark.parametrize(("widths", "out"), [((4, 1), "logistic"), ((4, 6, 3), "softmax")], ids=str)
def test_codes_stand_for_rows_of_zeros_and_a_one(widths, out):
    dtype = np.dtype(np.float64)
    problem = Problem(widths, dtype, out=out)
    codes = np.random.default_rng(3).integers(2, size=29)
    problem.Y, problem.weights = np.eye(widths[-1])[codes] if widths[-1] > 1 else codes[:, None], np.ones(29)
    J, coef_grads, intercept_grads = problem.reference_loss_and_gradient()
    examples = as_examples(problem.X, dtype, codes=codes)
    trainer = Trainer(problem.network, problem.theta.copy(), examples, batch=29, team=Team(1), alpha=0.1)
    assert trainer.loss_and_gradient(problem.theta) == pytest.approx(J, rel=TOLERANCES[dtype])
    coefs, intercepts = problem.network.layout.unpack(trainer.grad)
    assert_close(coefs + intercepts, coef_grads + intercept_grads, dtype)


def test_counts_of_zero_have_the_deviance_of_the_reference():
    problem = Problem((4, 3), np.dtype(np.float64), loss="poisson", out="exp")
    problem.Y = np.random.default_rng(3).poisson(1.0, problem.Y.shape).astype(float)
    assert (problem.Y == 0).any()
    assert_gradient_is_the_references(problem, problem.trainer())


@over_dtypes
@pytest.mark.parametrize("form", ["rows", "sparse"])
def test_evaluating_gives_the_loss_of_the_reference_and_changes_nothing(form, dtype):
    problem = Problem((2, 65, 1), dtype, loss="binary_cross_entropy", out="logistic", form=form)
    evaluator = Evaluator(problem.network, problem.examples, batch=29, team=Team(1))
    J = (
        problem.reference_loss_and_gradient()[0]
        - 0.05 * sum((c**2).sum() for c in problem.coefs) / problem.weights.sum()
    )
    assert evaluator.loss(problem.theta, np.arange(29)) == pytest.approx(J, rel=TOLERANCES[dtype])
    np.testing.assert_array_equal(evaluator.theta, problem.theta)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_epochs_of_batches_are_steps_of_the_references_optimiser(name):
    dtype = np.dtype(np.float64)
    problem = Problem((5, 9, 3), dtype)
    rates = {"learning_rate_init": 0.01, "momentum": 0.8, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}
    ours = problem.trainer(batch=8, optimizer=getattr(optimizers, name.upper()))
    set_rates(ours, **rates)
    theirs = {
        "sgd": reference.SGD(0.01, momentum=0.8, nesterov=False),
        "nesterov": reference.SGD(0.01, momentum=0.8, nesterov=True),
        "adam": reference.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    }[name]
    params, order = problem.coefs + problem.intercepts, np.random.default_rng(1).permutation(29)
    for _ in range(3):
        losses = []
        for rows in np.split(order, [8, 16, 24]):
            J, *grads = problem.reference_loss_and_gradient(rows, params[:2], params[2:])
            params = theirs.step(params, grads[0] + grads[1])
            losses.append(J)
        assert ours.epoch(order) == pytest.approx(np.average(losses, weights=[8, 8, 8, 5]), rel=1e-13)
    coefs, intercepts = problem.network.layout.unpack(ours.theta)
    np.testing.assert_allclose(
        np.concatenate([p.ravel() for p in coefs + intercepts]), np.concatenate([p.ravel() for p in params]), rtol=1e-11
    )


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_steps_of_gradients_that_were_summed_elsewhere_are_those_of_an_epoch(name):
    problem, code = Problem((5, 9, 3), np.dtype(np.float64)), getattr(optimizers, name.upper())
    rates = {"learning_rate_init": 0.01, "momentum": 0.8, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}
    expected, found = problem.trainer(batch=29, optimizer=code), problem.trainer(batch=29, optimizer=code)
    gradient = problem.trainer()
    for trainer in (expected, found):
        set_rates(trainer, **rates)
    sweep = optimizers.SWEEPS[code].address(problem.network.dtype)
    for t in range(1, 4):
        gradient.loss_and_gradient(found.theta)
        optimizers.step_all(
            code, sweep, problem.network.layout.units, found._rates, 1.0, t, found.theta, gradient.grad, found.moment_1,
            found.moment_2, np.zeros(len(problem.network.layout.units)),
        )  # fmt: skip
        expected.epoch(np.arange(29))
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-13)


@over_dtypes
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_one_row_predicted_without_packing_is_that_of_the_reference(widths, dtype):
    problem = Problem(widths, dtype, loss="squared_error", out="logistic", rows=1)
    found, are_finite = predict_row(problem.network, problem.coefs, problem.intercepts, problem.X[0])
    assert are_finite
    expected = reference.forward(
        problem.dense, problem.coefs, problem.intercepts, activation="tanh", out_activation="logistic"
    )
    assert_close([found], expected[-1:], dtype)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_rows_without_weight_do_not_count_even_if_their_outputs_are_infinite(alpha):
    problem = Problem((5, 3), np.dtype(np.float64), loss="poisson", out="exp")
    problem.X[:8] = 1e3 * np.sign(problem.coefs[0][:, 0])
    problem.weights[:8] = 0.0
    J, coef_grads, intercept_grads = reference.loss_and_gradient(
        problem.X[8:], problem.Y[8:], problem.coefs, problem.intercepts,
        alpha=alpha, sample_weight=problem.weights[8:], **problem.names,
    )  # fmt: skip
    trainer = problem.trainer(alpha=alpha)
    assert trainer.loss_and_gradient(problem.theta) == pytest.approx(J, rel=1e-13)
    coefs, intercepts = problem.network.layout.unpack(trainer.grad)
    assert_close(coefs + intercepts, coef_grads + intercept_grads, problem.network.dtype)


def test_a_batch_without_weight_is_skipped():
    problem = Problem((5, 9, 3), np.dtype(np.float64))
    problem.weights[:8] = 0.0
    trainer = problem.trainer(batch=8, optimizer=optimizers.SGD)
    set_rates(trainer, learning_rate_init=0.0, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    batches = [slice(8, 16), slice(16, 24), slice(24, 29)]
    losses = [problem.reference_loss_and_gradient(rows)[0] for rows in batches]
    assert trainer.epoch(np.arange(29)) == pytest.approx(np.average(losses, weights=[8, 8, 5]), rel=1e-13)
    assert trainer.t[0] == 3


def test_an_order_is_shuffled_as_numpy_does():
    ours, theirs = np.arange(1500), np.arange(1500)
    one, other = np.random.RandomState(0), np.random.RandomState(0)
    shuffling.shuffle(ours, one)
    other.shuffle(theirs)
    np.testing.assert_array_equal(ours, theirs)
    assert one.randint(1 << 30) == other.randint(1 << 30)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_fit_is_that_of_scikit_learn(solver):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.integers(3, size=60)
    options = {"hidden_layer_sizes": (9,), "solver": solver, "max_iter": 3, "batch_size": 16, "random_state": 0}
    if solver == "lbfgs":
        del options["batch_size"]
    ours, theirs = (kind(**options).fit(X, y) for kind in (BackpropClassifier, MLPClassifier))
    assert_close(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, np.dtype(np.float64))
    assert_close([ours.predict_proba(X)], [theirs.predict_proba(X)], np.dtype(np.float64))
