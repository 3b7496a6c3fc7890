"""The steps on parameters: padding, chunks, groups, threads, and the fused update."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from fastbp.data.examples import as_examples
from fastbp.kernels import gather, gradient, optimizers
from fastbp.kernels.activations import HIDDEN
from fastbp.kernels.machine import subnormals
from fastbp.kernels.machine.registers import ROWS
from fastbp.network import costs
from fastbp.network.architecture import Network
from fastbp.parallel.team import Team
from fastbp.training import workspace
from fastbp.training.gradient_descent import gradient_descent
from fastbp.training.history import History
from fastbp.training.lbfgs import lbfgs
from fastbp.training.observer import Observer
from fastbp.training.trainer import Evaluator
from fastbp.training.workspace import Workspace
from support.steps import (
    F32,
    OPTIMIZERS,
    SHAPES,
    WIDTHS,
    Tasks,
    data_forms,
    network,
    over_dtypes,
    random_examples,
    random_theta,
    trainer,
)


def padding(shape, vector):
    """A vector in the kernels' layout, with 0 for the real parameters."""
    return vector - shape.layout.pack(*shape.layout.unpack(vector))


@over_dtypes
@pytest.mark.parametrize("n_outputs", [1, 5, 40])
def test_the_delta_recursion_reads_the_transpose_for_every_width(dtype, n_outputs):
    rng = np.random.default_rng(0)
    for width in range(1, 101):  # units of parameters and panels end at other widths on each kind of CPU
        shape = Network((2, width, n_outputs), ("relu", "identity"), "squared_error", dtype)
        theta, (_, coef), _ = random_theta(shape, rng)
        layers, *_ = workspace._tables(shape, ROWS, ROWS, 0, gather.gather_64)
        theta_t = np.zeros(sum(shape.layout.transposed_sizes), dtype)
        gradient.transpose_all(layers, shape.layout.units, theta, theta_t)
        if shape.layout.is_narrow(2):  # theta itself is transposed, after the biases
            assert not theta_t.size
            theta_t = theta[shape.layout.theta_offsets[1] + shape.layout.padded[2] :]
        expected = np.zeros((1 + n_outputs, shape.layout.padded[1]), dtype)
        expected[1:, :width] = coef.T
        panels = np.split(expected, range(shape.layout.panel, shape.layout.padded[1], shape.layout.panel), axis=1)
        np.testing.assert_array_equal(theta_t, np.concatenate([panel.ravel() for panel in panels]), str(width))


@over_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_padded_parameters_stay_zero_for_100_steps(dtype, activation, optimizer):
    rng = np.random.default_rng(2)
    shape = network(dtype, activation)
    run = trainer(
        shape, random_theta(shape, rng)[0], random_examples(shape, rng, 60), batch=15, optimizer=OPTIMIZERS[optimizer]
    )
    order = np.arange(60)
    for _ in range(25):
        run.epoch(order)
    assert run.t[0] == 100
    for vector in (run.theta, run.moment_1, run.moment_2):
        if vector.size:
            assert not padding(shape, vector).any()
            assert np.isfinite(vector).all()


@over_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("solver", ["gd", "lbfgs"])
def test_padded_parameters_stay_zero_for_100_full_batch_steps(dtype, activation, solver):
    rng = np.random.default_rng(3)
    shape = network(dtype, activation)
    run = trainer(shape, random_theta(shape, rng)[0], random_examples(shape, rng, 30))
    history = History(tol=0.0, verbose=False, scored=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit stops after 100 steps
        if solver == "gd":
            list(gradient_descent(run, history, Observer(), learning_rate_init=0.05, gtol=0.0, max_iter=100))
        else:
            lbfgs(run, history, Observer(), tol=0.0, max_iter=100, max_fun=101)
    assert len(history.loss_curve) > 20
    for vector in (run.theta, run.grad):
        assert not padding(shape, vector).any()


@over_dtypes
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fused_step_equals_gradient_then_sweep_bit_for_bit(dtype, optimizer, weighted):
    rng = np.random.default_rng(4)
    shape = network(dtype)
    theta, *_ = random_theta(shape, rng)
    examples = random_examples(shape, rng, 45, rng.uniform(0.5, 2, 45) if weighted else None)
    fused = trainer(shape, theta, examples, optimizer=OPTIMIZERS[optimizer])
    apart = trainer(shape, theta, examples)
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    T = dtype.type
    for step in range(1, 4):
        loss = fused.epoch(np.arange(45))
        assert apart.loss_and_gradient(theta) == loss
        g = apart.grad
        if optimizer == "adam":
            first = T(0.9) * first + T(1 - 0.9) * g
            second = T(0.999) * second + T(1 - 0.999) * (g * g)
            eta = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            theta = theta - T(eta) * first / (np.sqrt(second) + T(1e-8))
        else:
            first = T(0.9) * first - T(0.01) * g
            theta = theta + (first if optimizer == "sgd" else T(0.9) * first - T(0.01) * g)
        np.testing.assert_array_equal(fused.theta, theta)


@over_dtypes
@pytest.mark.parametrize("batch", [70, 33])
@pytest.mark.parametrize("grouped", [False, True])
def test_any_number_of_threads_gives_the_same_bits(dtype, batch, grouped, request):
    if grouped:
        request.getfixturevalue("by_groups")
    rng = np.random.default_rng(5)
    shape = network(dtype)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 70)
    order = np.random.default_rng(0).permutation(70)
    runs = [
        # chunks of 16 rows: a batch has several, and some have fewer tiles of rows than there are tasks
        trainer(shape, theta, examples, batch=batch, team=Tasks(n), optimizer=optimizers.ADAM, chunk=16)
        for n in (1, 2, 3, 7)
    ]
    losses = [[run.epoch(order) for _ in range(3)] for run in runs]
    for run, loss in zip(runs, losses, strict=True):
        assert loss == losses[0]
        np.testing.assert_array_equal(run.theta, runs[0].theta)


@over_dtypes
@pytest.mark.parametrize(("widths", "activations", "loss"), SHAPES, ids=lambda value: str(value).replace(" ", ""))
def test_the_loss_alone_is_that_of_the_gradient_to_the_bit(dtype, widths, activations, loss):
    shape = Network(widths, activations, loss, dtype)
    rng = np.random.default_rng(12)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 45)
    evaluator = Evaluator(shape, examples, batch=45, team=Team(1))
    assert evaluator.loss(theta, np.arange(45)) == trainer(shape, theta, examples, alpha=0.0).loss_and_gradient(theta)


@over_dtypes
def test_the_padding_before_a_narrow_layer_does_not_count_even_if_it_is_nan(dtype):
    shape = Network((1, 2, 65, 1), ("relu", "tanh", "logistic"), "binary_cross_entropy", dtype)
    rng, largest = np.random.default_rng(13), np.finfo(dtype).max
    coefs = [np.array([[0, 2.0]]), rng.normal(size=(2, 65)), rng.normal(size=(65, 1))]
    theta = shape.layout.pack(coefs, [np.zeros(coef.shape[1]) for coef in coefs])
    out = np.empty((1, 1), dtype)
    examples = as_examples(np.full((1, 1), largest, dtype), dtype)  # the second unit is infinite
    Workspace(shape, examples, 1, Team(1)).predict(theta, np.arange(1), out)
    np.testing.assert_allclose(out, 1 / (1 + np.exp(-np.sign(coefs[1][1]) @ coefs[2])[None]), rtol=1e-5)


@over_dtypes
def test_chunks_of_a_batch_add_up_to_its_gradient(dtype):
    rng = np.random.default_rng(6)
    shape = network(dtype)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 70, rng.uniform(0, 2, 70))
    whole, chunked = (trainer(shape, theta, examples, chunk=chunk) for chunk in (96, 16))
    assert chunked.chunk == 16
    tolerance = 1e-5 if dtype == F32 else 1e-13
    assert chunked.loss_and_gradient(theta) == pytest.approx(whole.loss_and_gradient(theta), rel=tolerance)
    np.testing.assert_allclose(chunked.grad, whole.grad, atol=tolerance * abs(whole.grad).max(), rtol=0)


@over_dtypes
def test_gradients_are_summed_by_groups_only_if_that_pays(dtype):
    """Groups pay with few parameters and much work. Only sizes decide, so that the bits depend on nothing else."""
    few, many = ((54, 256, 128, 7), (784, 512, 256, 10))
    shapes = [
        Network(widths, ("relu",) * (len(widths) - 2) + ("softmax",), "log_loss", dtype) for widths in (few, many)
    ]
    assert [[costs.n_groups(shape, rows) for rows in (1, 10, 1000)] for shape in shapes] == [[1, 1, 2], [1, 1, 1]]


@over_dtypes
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("chunk", [16, 96])
def test_the_gradients_of_groups_add_up_to_that_of_all(dtype, n_threads, chunk, monkeypatch):
    rng = np.random.default_rng(14)
    shape = Network(WIDTHS, ("tanh", "relu", "softmax"), "log_loss", dtype)
    theta = random_theta(shape, rng)[0]
    tolerance = 1e-5 if dtype == F32 else 1e-13
    options = {"team": Tasks(n_threads), "chunk": chunk}
    for examples in data_forms(shape, rng, 70):
        whole = trainer(shape, theta, examples, **options)
        with monkeypatch.context() as patch:
            patch.setattr(costs, "FEW", 0)
            patch.setattr(costs, "GROUP_WORK", 0)
            groups = trainer(shape, theta, examples, **options)
        assert groups.loss_and_gradient(theta) == whole.loss_and_gradient(theta)
        np.testing.assert_allclose(groups.grad, whole.grad, atol=tolerance * abs(whole.grad).max(), rtol=0)
        assert (groups.grad != whole.grad).any()  # summed in another order


@over_dtypes
@pytest.mark.parametrize("n_threads", [1, 3])
def test_groups_of_a_sparse_x_have_the_bits_of_a_dense_one(dtype, n_threads, by_groups):
    rng = np.random.default_rng(15)
    shape = network(dtype)
    theta, order = random_theta(shape, rng)[0], rng.permutation(70)
    X, codes = rng.normal(size=(70, WIDTHS[0])).astype(dtype), rng.integers(WIDTHS[-1], size=70)
    X[X < 1.5] = 0
    runs = [
        trainer(
            shape, theta, as_examples(form(X), dtype, codes=codes), batch=40, chunk=24, team=Tasks(n_threads),
            optimizer=optimizers.ADAM,
        )
        for form in (np.asarray, scipy.sparse.csr_array)
    ]  # fmt: skip
    assert [run.by_entries for run in runs] == [False, True]
    losses = [[run.epoch(order) for _ in range(3)] for run in runs]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(runs[0].theta, runs[1].theta)


@over_dtypes
def test_predictions_do_not_depend_on_the_size_of_a_chunk(dtype):
    rng = np.random.default_rng(8)
    shape = network(dtype)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 70)
    outs = []
    for chunk in (96, 24):
        out = np.full((70, WIDTHS[-1]), np.nan, dtype)
        Workspace(shape, examples, 70, Team(1), chunk=chunk).predict(theta, np.arange(70), out)
        outs.append(out)
    np.testing.assert_array_equal(*outs)


@pytest.mark.skipif(not subnormals.FLUSH, reason="subnormal numbers stay on this kind of CPU")
@over_dtypes
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_flushes_subnormal_numbers_and_nothing_else_does(dtype, n_threads, optimizer):
    tiny = np.finfo(dtype).tiny
    shape = network(dtype)
    rng = np.random.default_rng(10)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 40)
    run = trainer(shape, tiny * theta, examples, optimizer=OPTIMIZERS[optimizer], team=Tasks(n_threads), alpha=0.0)
    run.rates.eta = 0.0
    assert (run.theta[np.abs(run.theta) < tiny] != 0).any()
    run.epoch(np.arange(40))
    for vector in (run.theta, run.moment_1, run.moment_2):
        assert not vector[np.abs(vector) < tiny].any()
    assert np.array([tiny])[0] / 2 > 0

    narrow = Network((3, 1), ("exp",), "poisson", dtype)
    X = as_examples(np.ones((40, 3), dtype), dtype)
    out = np.empty((40, 1), dtype)
    low = narrow.layout.pack([np.full((3, 1), np.log(tiny) / 3 - 1)], [np.zeros(1)])
    Workspace(narrow, X, 40, Team(1)).predict(low, np.arange(40), out)
    assert ((out > 0) & (out < tiny)).all()
