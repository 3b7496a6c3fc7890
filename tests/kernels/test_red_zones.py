"""Kernels stay within their buffers: red zones around every array do not change, and do not change a result."""

import numpy as np
import pytest

from fastbp.kernels import optimizers
from fastbp.network.architecture import Network
from support.entries import ENTRIES, entry
from support.steps import OPTIMIZERS, SHAPES, Tasks, data_forms, over_dtypes, random_theta, trainer

ZONE = 4096  # bytes of a red zone
# FILLS: the value of each byte of a red zone. 0xFF makes NaN, so that a number read there shows in a result. 0x3F makes
# finite numbers, so that a number added to them shows too; NaN would stay the same NaN. The zones around integers are
# always -1, because no row and no offset is -1.
FILLS = (0xFF, 0x3F)


def within_red_zones(kernel, fill, called):
    """`kernel` on copies of its arrays, each between two red zones. The kernel must leave the zones as they are.

    called: a set. A call adds the kernel to it.
    """
    n_shared = 0 if kernel is entry("transpose_all") else 1  # the crew, which other threads use too, is not copied

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
            view.flags.writeable = value.flags.writeable  # Numba compiles for read-only arrays separately
            memories.append((red, memory, view, value))
            return view

        called.add(kernel)
        result = kernel(*args[:n_shared], *map(enclosed, args[n_shared:]))
        for red, memory, view, value in memories:
            assert (memory[:ZONE] == red).all()
            assert (memory[-ZONE:] == red).all()
            if value.flags.writeable:
                value[...] = view
        return result

    return call


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
    kernels = {name: entry(name) for name in ("transpose_all", "train", "predict")}

    def results(examples):
        order = np.random.default_rng(1).permutation(examples.n)
        run = trainer(
            shape, theta, examples, batch=min(examples.n, 30) if optimizer else examples.n, team=Tasks(n_threads),
            optimizer=OPTIMIZERS.get(optimizer, optimizers.NONE), chunk=16,
        )  # fmt: skip
        losses = [run.epoch(order) for _ in range(2)] if optimizer else [run.loss_and_gradient(theta)]
        out = np.full((examples.n, widths[-1]), np.nan, dtype)
        run.predict(run.theta, order, out)
        return [np.array(losses), run.theta, run.theta_t, run.grad, run.moment_1, run.moment_2, out]

    rng = np.random.default_rng(9)
    theta = random_theta(shape, rng)[0]
    called = set()
    for rows in sizes:
        for examples in data_forms(shape, rng, rows):
            found = []
            for fill in FILLS:
                with monkeypatch.context() as patch:
                    for name, kernel in kernels.items():
                        patch.setattr(ENTRIES[name], name, within_red_zones(kernel, fill, called))
                    found.append(results(examples))
            for *arrays, without_zones in zip(*found, results(examples), strict=True):
                assert np.isfinite(without_zones).all()
                for array in arrays:
                    np.testing.assert_array_equal(array, without_zones)
    assert called == set(kernels.values())
