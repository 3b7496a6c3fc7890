"""The kernels without the compiler: the twin of each intrinsic, its checks, and a fit in a process of its own."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastbp.kernels import elementary
from fastbp.kernels.compiling import interpreted, jit, kinds
from fastbp.kernels.machine import simd, vectors
from fastbp.kernels.machine.registers import VECTOR_BYTES
from support import mistakes
from support.interpreted_fit import fitted
from support.programs import run

over_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


class Twins:
    """The NumPy twins of a module's intrinsics, by the names of the intrinsics."""

    def __init__(self, *modules):
        self._modules = modules

    def __getattr__(self, name):
        return next(getattr(module, f"_plain_{name}") for module in self._modules if hasattr(module, f"_plain_{name}"))


TWINS = Twins(simd, vectors)


class Intrinsics(Twins):
    """The intrinsics themselves."""

    def __getattr__(self, name):
        return next(getattr(module, name) for module in self._modules if hasattr(module, name))


INTRINSICS = Intrinsics(simd, vectors)


def on_tiles(of, tile, square):
    """A kernel that writes results of the intrinsics of simd.py and vectors.py. of: the intrinsics, or their twins."""
    columns, store, rank1, load, splat, transposed, first_columns, multiply_add = (
        getattr(of, name)
        for name in ("columns", "store", "rank1", "load", "splat", "transposed", "first_columns", "multiply_add")
    )
    over_root, zeros, store_sums, prefetch, check_multiple, total, part = (
        getattr(of, name)
        for name in ("over_root", "zeros", "store_sums", "prefetch", "check_multiple", "total", "part")
    )

    def kernel(x, out):
        wide, lanes = columns(tile(2, 3), x), columns(tile(1, 1), x)
        store(rank1(load(tile(2, 3), x, 5, 30), x, 1, 7, x, 2), out, 0, wide)
        i, size = 2 * wide, lanes * lanes
        some, three = load(square(x), x, 3, 40), splat(square(x), x, 3)
        store(transposed(some), out, i, lanes)
        store(first_columns(some, 1), out, i + size, lanes)
        store(multiply_add(some, some, three) - some * three, out, i + 2 * size, lanes)
        store(over_root(some * some, some * some, three) + zeros(square(x), x), out, i + 3 * size, lanes)
        store_sums(some, x[0], out, i + 4 * size, 3)
        i += 4 * size + 3 * lanes
        prefetch(tile(1, 1), x, -1)
        check_multiple(2 * lanes, lanes)
        out[i] = total(load(tile(1, 1), x, 0, 0))
        out[i + 1] = part(x, 4, 3)[2]

    return kernel


@over_dtypes
def test_the_twins_of_tile_intrinsics_give_the_same_numbers(dtype):
    x = np.random.default_rng(0).integers(-9, 9, 1024).astype(dtype)  # whole, so everything is exact, fused or not
    compiled, plain = np.full((2, 2048), np.nan, dtype)
    jit.entry(on_tiles(INTRINSICS, simd.tile, vectors.square))(x, compiled)

    def tile(rows, vectors):
        return simd.PlainShape(rows, vectors, VECTOR_BYTES)

    interpreted.entry(on_tiles(TWINS, tile, lambda like: tile(VECTOR_BYTES // like.itemsize, 1)))(x, plain)
    lanes = VECTOR_BYTES // x.itemsize
    assert np.isfinite(plain).sum() == 2 * 3 * lanes + 4 * lanes**2 + lanes + 2
    np.testing.assert_array_equal(plain, compiled)


def on_numbers(fma, constant, power_of_two, exponent, mantissa):
    def kernel(x, out):
        for i in range(x.size):
            out[0, i] = exponent(x[i])
            out[1, i] = mantissa(x[i])
            out[2, i] = power_of_two(exponent(x[i]))
            out[3, i] = fma(constant(2, x[i]), x[i], constant(0.1, x[i]) - constant(0.1, x[i]))

    return kernel


@over_dtypes
def test_the_twins_of_number_intrinsics_give_the_same_numbers(dtype):
    edge = dtype(math.sqrt(0.5))
    edges = [edge, np.nextafter(edge, dtype(0)), np.nextafter(edge, dtype(1)), 2 * edge, 1, np.finfo(dtype).tiny]
    x = np.concatenate([edges, np.exp(np.random.default_rng(0).uniform(-80, 80, 300))]).astype(dtype)
    compiled, plain = np.full((2, 4, x.size), np.nan, dtype)
    special = elementary._power_of_two, elementary._exponent, elementary._mantissa
    jit.entry(on_numbers(elementary.fma, elementary.constant, *special))(x, compiled)
    stand_ins = (
        getattr(Twins(elementary), name) for name in ("fma", "constant", "power_of_two", "exponent", "mantissa")
    )
    interpreted.entry(on_numbers(*stand_ins))(x, plain)
    np.testing.assert_array_equal(plain, compiled)
    assert (plain[1] * plain[2] == x).all()


@pytest.mark.parametrize("index", [-1, 3, (-1, 0), (0, -1)], ids=str)
def test_an_index_outside_of_an_array_is_refused_even_if_negative(index):
    x = np.ones(3) if np.ndim(index) == 0 else np.ones((3, 3))

    def read(arrays):
        return arrays[0][index]

    def write(arrays):
        arrays[0][index] = 0.0

    for kernel in (read, write):
        with pytest.raises(IndexError, match=r"is negative|is out of bounds"):
            interpreted.entry(kernel)((x,))
    assert x.all()


@pytest.mark.parametrize("i", [-1, 40])
def test_a_tile_that_is_not_within_an_array_is_refused(i):
    x, shape = np.ones(64), simd.PlainShape(rows=3, vectors=1, vector_bytes=64)
    accesses = {
        "load": lambda: TWINS.load(shape, x, i, 9),
        "store": lambda: TWINS.store(np.zeros((3, 8)), x, i, 9),
        "store_sums": lambda: TWINS.store_sums(np.zeros((3, 8)), 0.0, x, i, 12),
        "rank1": lambda: TWINS.rank1(np.zeros((3, 8)), x, i, 12, x, 0),
        "part": lambda: TWINS.part(x, i, 25),
    }
    for what, access in accesses.items():
        with pytest.raises(IndexError, match=f"^{what} of elements {i} : .* of an array of 64$"):
            access()
    assert x.all()


def test_a_size_that_is_no_multiple_is_refused():
    TWINS.check_multiple(16, 8)
    with pytest.raises(ValueError, match="9 is no multiple of 8"):
        TWINS.check_multiple(9, 8)


def test_a_call_takes_arrays_of_the_declared_dtypes_alone():
    x, single, calls = np.ones(8), np.ones(8, np.float32), []
    address = interpreted.address(lambda *arguments: calls.append(arguments), (kinds.FLOATS, kinds.FLOAT))
    interpreted.call(address, (x, 1.0))
    for wrong in ((single, 1.0), (x, x), (1.0, 1.0), (x,)):
        with pytest.raises(TypeError, match="takes arrays of"):
            interpreted.call(address, wrong)
    with pytest.raises(ValueError, match="a kernel that was not asked for"):
        interpreted.call(0, ())
    assert len(calls) == 1
    assert calls[0][0] is x


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_without_the_compiler_gives_the_numbers_of_machine_code(tmp_path):
    program = "import json\nfrom support import interpreted_fit\nprint(json.dumps(interpreted_fit.fitted()))"
    is_interpreted, found = run(program, tmp_path, NUMBA_DISABLE_JIT="1")
    assert is_interpreted
    assert not list(tmp_path.iterdir())  # nothing was compiled
    np.testing.assert_allclose(found, fitted()[1], rtol=1e-12)


MAKE_ALL = """
import json
from support import mistakes
found = {}
for mistake in mistakes.MISTAKES:
    try:
        mistakes.make(mistake)
    except (IndexError, ValueError) as error:
        found[mistake.__name__] = str(error)
print(json.dumps(found))
"""


def test_without_the_compiler_every_mistake_of_the_debug_mode_is_an_exception(tmp_path):
    expected = {mistake.__name__: message for mistake, message in mistakes.MISTAKES.items()}
    assert run(MAKE_ALL, tmp_path, NUMBA_DISABLE_JIT="1") == expected


class Slow(dict):
    """A dict that lets other threads run before it takes a value."""

    def __setitem__(self, key, value):
        time.sleep(0.01)
        super().__setitem__(key, value)


def test_threads_that_ask_for_addresses_at_once_get_different_ones(monkeypatch):
    monkeypatch.setattr(interpreted, "_kernels", Slow())
    with ThreadPoolExecutor(4) as pool:
        addresses = list(pool.map(lambda i: interpreted.address(i, ()), range(8)))
    assert sorted(addresses) == list(range(1, 9))
    assert [interpreted._kernels[address][0] for address in addresses] == list(range(8))
