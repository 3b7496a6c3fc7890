"""The layout of parameters and the steps on them: padding, chunks, threads, and the fused update."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from fastbp import network as network_module
from fastbp import training
from fastbp.data import examples as data
from fastbp.kernels import backprop, gather, optimizers
from fastbp.kernels.activations import HIDDEN
from fastbp.kernels.machine import simd, subnormals
from fastbp.network.architecture import Network
from fastbp.parallel.team import Team
from fastbp.training.observer import Observer
from fastbp.training.trainer import Trainer
from fastbp.training.workspace import Workspace

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
over_dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
OPTIMIZERS = {"sgd": optimizers.SGD, "nesterov": optimizers.NESTEROV, "adam": optimizers.ADAM}
RATES = {"learning_rate_init": 0.01, "momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
# No width is a multiple of a vector; the panels of the wider ones are full, two vectors wide and one vector wide.
WIDTHS = (7, 115, 37, 5)


def network(dtype, activation="tanh", **kwargs):
    return Network(WIDTHS, (activation, activation, "softmax"), "log_loss", dtype, **kwargs)


def random_theta(shape, rng):
    coefs = [rng.normal(size=(n, m)) / np.sqrt(n) for n, m in zip(shape.widths, shape.widths[1:], strict=False)]
    intercepts = [rng.normal(size=m) * shape.fit_intercept for m in shape.widths[1:]]
    return shape.pack(coefs, intercepts), coefs, intercepts


def random_examples(shape, rng, n, weights=None):
    X = rng.normal(size=(n, shape.widths[0])).astype(shape.dtype)
    return data.as_examples(X, shape.dtype, codes=rng.integers(shape.widths[-1], size=n), weights=weights)


def trainer(shape, theta, examples, **kwargs):
    options = {"batch": examples.n, "team": Team(1), "alpha": 0.1} | kwargs
    result = Trainer(shape, theta.copy(), examples, **options)
    training.set_rates(result, **RATES)
    return result


def padding(shape, vector):
    """What is left of a vector in the kernels' layout without the real parameters."""
    return vector - shape.pack(*shape.unpack(vector))


@over_dtypes
@pytest.mark.parametrize("n_outputs", [1, 5, 40])
def test_the_copy_for_the_delta_recursion_is_the_transpose_for_every_width(dtype, n_outputs):
    rng = np.random.default_rng(0)
    for width in range(1, 101):  # units of parameters and panels end elsewhere on each kind of CPU
        shape = Network((2, width, n_outputs), ("relu", "identity"), "squared_error", dtype)
        theta, (_, coef), _ = random_theta(shape, rng)
        layers, *_ = network_module._tables(shape, simd.ROWS, simd.ROWS, 0, gather.gather_64)
        theta_t = np.zeros(sum(shape.transposed_sizes), dtype)
        backprop.transpose_all(layers, shape.units, theta, theta_t)
        expected = np.zeros((1 + n_outputs, shape.padded[1]), dtype)
        expected[1:, :width] = coef.T
        panels = np.split(expected, range(shape.panel, shape.padded[1], shape.panel), axis=1)
        np.testing.assert_array_equal(theta_t, np.concatenate([panel.ravel() for panel in panels]), str(width))


@over_dtypes
def test_unpack_is_the_inverse_of_pack(dtype):
    shape = network(dtype)
    theta, coefs, intercepts = random_theta(shape, np.random.default_rng(0))
    unpacked_coefs, unpacked_intercepts = shape.unpack(theta)
    for found, given in zip(unpacked_coefs + unpacked_intercepts, coefs + intercepts, strict=True):
        np.testing.assert_array_equal(found, given.astype(dtype))


@over_dtypes
def test_pack_takes_arrays_of_any_layout_and_dtype(dtype, tmp_path):
    shape = network(dtype)
    _, coefs, intercepts = random_theta(shape, np.random.default_rng(0))
    coefs, intercepts = ([part.astype(F32) for part in parts] for parts in (coefs, intercepts))
    expected = shape.pack(coefs, intercepts)
    coefs[0] = np.asfortranarray(coefs[0])
    coefs[1] = np.repeat(coefs[1], 2, axis=1)[:, ::2]
    coefs[2] = coefs[2].tolist()
    intercepts[0].flags.writeable = False
    intercepts[1] = intercepts[1].astype(">f8")
    np.save(tmp_path / "intercepts.npy", intercepts[2].astype(dtype))
    intercepts[2] = np.load(tmp_path / "intercepts.npy", mmap_mode="r")
    np.testing.assert_array_equal(shape.pack(coefs, intercepts), expected)


@over_dtypes
@pytest.mark.parametrize("width", [1, 23, 48, 100])
def test_padded_columns_are_zeros_and_are_not_unpacked(dtype, width):
    shape, rng = Network((3, width), ("identity",), "squared_error", dtype), np.random.default_rng(0)
    coef, intercept = rng.normal(size=(3, width)).astype(dtype), rng.normal(size=width).astype(dtype)
    theta = shape.pack([coef], [intercept])
    padded = shape.pack([np.ones((3, width))], [np.ones(width)]) == 0
    assert padded.sum() == 4 * (shape.padded[1] - width)
    assert (theta[padded] == 0).all()
    theta[padded] = np.nan
    for found, expected in zip(shape.unpack(theta), ([coef], [intercept]), strict=True):
        np.testing.assert_array_equal(found, expected)


@over_dtypes
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_unflatten_is_the_inverse_of_flatten_in_the_order_of_scikit_learn(dtype, fit_intercept):
    shape = network(dtype, fit_intercept=fit_intercept)
    theta, coefs, intercepts = random_theta(shape, np.random.default_rng(1))
    flat = shape.flatten(theta)
    parts = coefs + (intercepts if fit_intercept else [])
    np.testing.assert_array_equal(flat, np.concatenate([part.ravel() for part in parts]).astype(dtype))
    np.testing.assert_array_equal(shape.unflatten(flat), theta)


@over_dtypes
@pytest.mark.parametrize("widths", [WIDTHS, (3, 150, 1)])
def test_units_cover_every_parameter_once(dtype, widths):
    shape = Network(widths, ("tanh",) * (len(widths) - 1), "squared_error", dtype)
    narrow = any(map(shape.is_narrow, range(len(widths))))
    assert narrow == (widths[-1] == 1 and 4 * dtype.itemsize <= simd.VECTOR_BYTES)
    covered = np.zeros(shape.size, int)
    for _, _, n_rows, _, n_columns, offset in shape.units:
        covered[offset : offset + n_rows * n_columns] += 1
    assert (covered == 1).all()


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
    for vector in (run.theta, run.first, run.second):
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
    history = training.History(tol=0.0, verbose=False, scored=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after 100 steps
        if solver == "gd":
            training.gradient_descent(run, history, Observer(), learning_rate_init=0.05, gtol=0.0, max_iter=100)
        else:
            training.lbfgs(run, history, Observer(), tol=0.0, max_iter=100, max_fun=101)
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


class Tasks(Team):
    """More tasks than the machine may have threads."""

    def run(self, kernel, *args, work):
        return kernel(*args)


@pytest.fixture
def by_groups(monkeypatch):
    """Gradients are summed by groups of examples, whatever the sizes."""
    monkeypatch.setattr(network_module, "FEW", 0)
    monkeypatch.setattr(network_module, "GROUP_WORK", 0)


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
        # a chunk of 16 rows: batches of several chunks, and more tasks than some chunks have tiles of rows
        trainer(shape, theta, examples, batch=batch, team=Tasks(n), optimizer=optimizers.ADAM, chunk=16)
        for n in (1, 2, 3, 7)
    ]
    losses = [[run.epoch(order) for _ in range(3)] for run in runs]
    for run, loss in zip(runs, losses, strict=True):
        assert loss == losses[0]
        np.testing.assert_array_equal(run.theta, runs[0].theta)


ZONE = 4096  # bytes of a red zone
# What each of its bytes is. Together NaN: what is read there shows. Or finite numbers: what is added to them shows too,
# while NaN stays the same NaN. Around integers always -1, which is no row and no offset.
FILLS = (0xFF, 0x3F)


def within_red_zones(kernel, fill, called):
    """`kernel` on copies of its arrays, every one of them between two red zones, which it must leave as they are.

    called: set to which a call adds the kernel.
    """

    def call(*args):
        memories = []

        def enclosed(value):
            if isinstance(value, tuple):
                return tuple(map(enclosed, value))
            if not isinstance(value, np.ndarray):
                return value
            red = np.full(ZONE, fill if value.dtype.kind == "f" else 0xFF, np.uint8)
            memory = np.concatenate([red, np.ascontiguousarray(value).reshape(-1).view(np.uint8), red])
            view = memory[ZONE:-ZONE].view(value.dtype).reshape(value.shape)
            view.flags.writeable = value.flags.writeable  # Numba tells them apart
            memories.append((red, memory, view, value))
            return view

        called.add(kernel)
        result = kernel(*map(enclosed, args))
        for red, memory, view, value in memories:
            assert (memory[:ZONE] == red).all()
            assert (memory[-ZONE:] == red).all()
            if value.flags.writeable:
                value[...] = view
        return result

    return call


def data_forms(shape, rng, n):
    """Examples of every form that the kernels read."""
    X = rng.normal(size=(n, shape.widths[0])).astype(shape.dtype)
    codes, weights = rng.integers(max(2, shape.widths[-1]), size=n), rng.uniform(0.5, 2, n)
    Y = rng.uniform(size=(n, shape.widths[-1]))
    Y /= Y.sum(axis=1, keepdims=True)
    yield data.as_examples(X, shape.dtype, codes=codes)
    yield data.as_examples(np.asfortranarray(X), shape.dtype, codes=codes, weights=weights)
    yield data.as_examples(X.astype(F32 if shape.dtype == F64 else F64), shape.dtype, Y=Y)
    for least in (0, 1.5):  # which is made dense, and which is not
        yield data.as_examples(scipy.sparse.csr_matrix(X * (least < X)), shape.dtype, Y=Y, weights=weights)


# Widths below, at and above a vector's and a panel's, on any CPU; every loss, and networks without hidden layers.
SHAPES = [
    (WIDTHS, ("tanh", "relu", "softmax"), "log_loss"),
    ((1, 1), ("logistic",), "binary_cross_entropy"),
    ((130, 9), ("identity",), "squared_error"),
    ((3, 24, 48, 2), ("gelu", "elu", "logistic"), "mean_squared_error"),
    ((5, 1, 33, 1, 3), ("softplus", "silu", "leaky_relu", "tanh"), "euclidean"),
    ((3, 67, 2), ("logistic", "logistic"), "log_loss"),
    ((2, 131, 4), ("tanh", "softmax"), "log_loss"),
]


@over_dtypes
@pytest.mark.parametrize(("widths", "activations", "loss"), SHAPES, ids=lambda value: str(value).replace(" ", ""))
@pytest.mark.parametrize("optimizer", [None, *OPTIMIZERS])
@pytest.mark.parametrize(
    ("n_threads", "sizes", "grouped"),
    [(1, (1, 3, 8, 45), False), (1, (45,), True), (3, (45,), True)],
    ids=["serial", "by groups", "parallel by groups"],
)
def test_kernels_stay_within_their_buffers(
    dtype, widths, activations, loss, optimizer, n_threads, sizes, grouped, monkeypatch, request
):
    """With red zones around every array of every call, all results are the same, bit for bit, and no zone changes."""
    if grouped:
        request.getfixturevalue("by_groups")
    shape = Network(widths, activations, loss, dtype)
    kind = "serial" if n_threads == 1 else "parallel"
    kernels = {name: getattr(backprop, name) for name in ("transpose_all", f"train_{kind}", f"predict_{kind}")}

    def results(examples):
        order = np.random.default_rng(1).permutation(examples.n)
        run = trainer(
            shape, theta, examples, batch=min(examples.n, 30) if optimizer else examples.n, team=Tasks(n_threads),
            optimizer=OPTIMIZERS.get(optimizer, optimizers.NONE), chunk=16,
        )  # fmt: skip
        losses = [run.epoch(order) for _ in range(2)] if optimizer else [run.loss_and_gradient(theta)]
        out = np.full((examples.n, widths[-1]), np.nan, dtype)
        run.predict(run.theta, order, out)
        return [np.array(losses), run.theta, run.theta_t, run.grad, run.first, run.second, out]

    rng = np.random.default_rng(9)
    theta = random_theta(shape, rng)[0]
    called = set()
    for rows in sizes:
        for examples in data_forms(shape, rng, rows):
            found = []
            for fill in FILLS:
                with monkeypatch.context() as patch:
                    for name, kernel in kernels.items():
                        patch.setattr(backprop, name, within_red_zones(kernel, fill, called))
                    found.append(results(examples))
            for *arrays, without_zones in zip(*found, results(examples), strict=True):
                assert np.isfinite(without_zones).all()
                for array in arrays:
                    np.testing.assert_array_equal(array, without_zones)
    assert called == set(kernels.values())


@over_dtypes
@pytest.mark.parametrize(("widths", "activations", "loss"), SHAPES, ids=lambda value: str(value).replace(" ", ""))
def test_the_loss_alone_is_that_of_the_gradient_to_the_bit(dtype, widths, activations, loss):
    shape = Network(widths, activations, loss, dtype)
    rng = np.random.default_rng(12)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 45)
    evaluate = trainer(shape, 0 * theta, examples, optimizer=optimizers.EVALUATE, alpha=0.0)
    assert evaluate.loss(theta, np.arange(45)) == trainer(shape, theta, examples, alpha=0.0).loss_and_gradient(theta)


@over_dtypes
def test_the_padding_before_a_narrow_layer_does_not_count_even_if_it_is_nan(dtype):
    shape = Network((1, 2, 65, 1), ("relu", "tanh", "logistic"), "binary_cross_entropy", dtype)
    rng, largest = np.random.default_rng(13), np.finfo(dtype).max
    coefs = [np.array([[0, 2.0]]), rng.normal(size=(2, 65)), rng.normal(size=(65, 1))]
    theta = shape.pack(coefs, [np.zeros(coef.shape[1]) for coef in coefs])
    out = np.empty((1, 1), dtype)
    examples = data.as_examples(np.full((1, 1), largest, dtype), dtype)  # the second unit is infinite
    Workspace(shape, examples, 1, Team(1)).predict(theta, np.arange(1), out)
    np.testing.assert_allclose(out, 1 / (1 + np.exp(-np.sign(coefs[1][1]) @ coefs[2])[None]), rtol=1e-5)


def test_weights_of_another_shape_are_refused_before_they_are_copied():
    small, large = (Network((3, width, 1), ("relu", "logistic"), "log_loss", F64) for width in (4, 300))
    coefs, intercepts = large.unpack(np.zeros(large.size))
    with pytest.raises(
        ValueError, match=r"from layer 0 to 1 have shapes \(3, 300\) and \(300,\), not \(3, 4\) and \(4,\)"
    ):
        small.pack(coefs, intercepts)


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
def test_only_what_pays_is_summed_by_groups(dtype):
    """A few parameters and much work; from the sizes alone, or the bits would depend on more."""
    few, many = ((54, 256, 128, 7), (784, 512, 256, 10))
    shapes = [
        Network(widths, ("relu",) * (len(widths) - 2) + ("softmax",), "log_loss", dtype) for widths in (few, many)
    ]
    assert [[shape.n_groups(rows) for rows in (1, 10, 1000)] for shape in shapes] == [[1, 1, 2], [1, 1, 1]]


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
            patch.setattr(network_module, "FEW", 0)
            patch.setattr(network_module, "GROUP_WORK", 0)
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
            shape, theta, data.as_examples(form(X), dtype, codes=codes), batch=40, chunk=24, team=Tasks(n_threads),
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


@pytest.mark.skipif(not subnormals.FLUSH, reason="this kind of CPU is left as it is")
@over_dtypes
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_flushes_subnormal_numbers_and_nothing_else_does(dtype, n_threads, optimizer):
    tiny = np.finfo(dtype).tiny
    shape = network(dtype)
    rng = np.random.default_rng(10)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 40)
    run = trainer(shape, tiny * theta, examples, optimizer=OPTIMIZERS[optimizer], team=Tasks(n_threads), alpha=0.0)
    run.rates[optimizers.ETA] = 0.0
    assert (run.theta[np.abs(run.theta) < tiny] != 0).any()
    run.epoch(np.arange(40))
    for vector in (run.theta, run.first, run.second):
        assert not vector[np.abs(vector) < tiny].any()
    assert np.array([tiny])[0] / 2 > 0

    narrow = Network((3, 1), ("exp",), "poisson", dtype)
    X = data.as_examples(np.ones((40, 3), dtype), dtype)
    out = np.empty((40, 1), dtype)
    low = narrow.pack([np.full((3, 1), np.log(tiny) / 3 - 1)], [np.zeros(1)])
    Workspace(narrow, X, 40, Team(1)).predict(low, np.arange(40), out)
    assert ((out > 0) & (out < tiny)).all()
