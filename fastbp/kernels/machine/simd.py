"""The register tile: a small matrix that lives in vector registers while a product is summed into it.

A tile is an LLVM value `[rows * vectors x <lanes x float>]`, with `double` in float64. A product is then a plain loop
of rank-1 updates, and LLVM keeps the accumulators in registers for the whole loop::

    acc = zeros(tile(8, 3), c)
    for p in range(k):
        acc = rank1(acc, a, ia + p, lda, b, ib + p * ldb)      # acc[r, :] += a[ia + p + r * lda] * b[ib + p * ldb :]
    store(acc, c, ic, ldc)

Tiles also add, subtract and multiply element by element. Loops over flat vectors use these operations. Such a loop has
no remainder, because the lengths are whole vectors.

All arrays are flat. Names `i...` and `j` are offsets into arrays; `ld...` and `step` are distances between two rows.
All of them count elements. Callers must keep within bounds. The NumPy twin above each intrinsic runs if nothing is
compiled; its tiles are arrays of shape (rows, columns). With FASTBP_DEBUG=1 the kernels check the bounds of every
access by a tile and of every `part`, and the condition of every `check_multiple`. The first fault stops the process.
Otherwise machine code has none of these checks.
"""

import operator
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import populate_array

from ..compiling.jit import CHECKED, emit_check, inlined, intrinsic
from .registers import VECTOR_BYTES, VECTORS, Emitter, Shape, Tile, emit_bounds_check

# ---------------------------------------------------------------- shared by the twins


class PlainShape(NamedTuple):
    """The size of a tile, for the twins."""

    rows: int
    vectors: int
    vector_bytes: int


def inside(what, array, i, extent):
    """Raise IndexError unless elements [i, i + extent) lie within the array."""
    if not 0 <= i <= i + extent <= array.size:
        raise IndexError(f"{what} of elements {i} : {i + extent} of an array of {array.size}")


def rows_at(what, array, i, step, shape):
    """A view of this shape. Its first row begins at array[i], and its rows begin `step` elements of the array apart."""
    rows, width = shape
    inside(what, array, i, (rows - 1) * step + width)
    size = array.itemsize
    return np.ndarray(shape, array.dtype, array, i * size, (step * size, size))


def _plain_part(x, start, size):
    inside("part", x, start, size)
    return x[start : start + size]


@intrinsic(_plain_part)
def part(typingctx, x, start, size):
    """x[start : start + size] of a flat array x, as a pointer and a length, without counting references."""
    result = types.Array(x.dtype, 1, "C")

    def codegen(context, builder, sig, args):
        source = context.make_array(sig.args[0])(context, builder, args[0])
        if CHECKED:
            emit_bounds_check(builder, "part", source, args[1], args[2])
        view = context.make_array(result)(context, builder)
        data = builder.gep(source.data, [args[1]])
        populate_array(view, data, [args[2]], [source.itemsize], source.itemsize, meminfo=None)
        return view._getvalue()

    return result(x, types.intp, types.intp), codegen


def _plain_check_multiple(n, divisor):
    if n % divisor:
        raise ValueError(f"{n} is no multiple of {divisor}")


@intrinsic(_plain_check_multiple)
def check_multiple(typingctx, n, divisor):
    """Check that n is a multiple of `divisor`; in machine code only with FASTBP_DEBUG=1."""

    def codegen(context, builder, sig, args):
        if CHECKED:
            holds = builder.icmp_signed("==", builder.srem(*args), args[0].type(0))
            emit_check(builder, holds, "%lld is no multiple of %lld", *args)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic(lambda rows, vectors: PlainShape(rows, vectors, VECTOR_BYTES), prefer_literal=True)
def tile(typingctx, rows, vectors):
    """The shape of a tile of rows x (vectors * lanes) elements; `rows` and `vectors` must be literals."""
    shape = Shape(rows.literal_value, vectors.literal_value)
    return shape(rows, vectors), lambda context, builder, sig, args: context.get_dummy_value()


def _plain_columns(shape, like):
    return shape.vectors * shape.vector_bytes // like.itemsize


@intrinsic(_plain_columns)
def columns(typingctx, shape, like):
    """Number of columns of a tile with this shape and the dtype of array `like`; a constant in compiled code."""
    size = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, size.vectors * size.lanes)

    return types.intp(shape, like), codegen


@inlined
def lanes_of(x):
    """Number of elements of a vector with the dtype of array x; a constant in compiled code."""
    return columns(tile(1, 1), x)


@inlined
def panel_of(x):
    """Number of columns of a full panel of parameters with the dtype of array x; a constant in compiled code."""
    return columns(tile(1, VECTORS), x)


def _plain_splat(shape, like, value):
    return np.full((shape.rows, _plain_columns(shape, like)), value, like.dtype)


@intrinsic(_plain_splat)
def splat(typingctx, shape, like, value):
    """A tile with the dtype of array `like`; all its elements are `value`."""
    result = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, result)
        vector = emit.splat(context.cast(builder, args[2], sig.args[2], result.dtype))
        return emit.build([vector] * len(emit.slots))

    return result(shape, like, types.unliteral(value)), codegen


def _plain_zeros(shape, like):
    return _plain_splat(shape, like, 0)


@intrinsic(_plain_zeros)
def zeros(typingctx, shape, like):
    """A tile of zeros with the dtype of array `like`."""
    result = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(result), None)

    return result(shape, like), codegen


def _plain_load(shape, a, i, step):
    return rows_at("load", a, i, step, (shape.rows, _plain_columns(shape, a))).copy()


@intrinsic(_plain_load)
def load(typingctx, shape, a, i, step):
    """The tile whose row r is a[i + r * step :]; step 0 repeats one row."""
    result = Tile(a.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit, (_, array, index, distance) = Emitter(context, builder, result), args
        pointer = emit.address("load", sig.args[1], array, index, distance, *emit.shape)
        return emit.build([emit.load(pointer, emit.offset(r, distance, v)) for r, v in emit.slots])

    return result(shape, a, types.intp, types.intp), codegen


def _plain_store(acc, c, i, step):
    rows_at("store", c, i, step, acc.shape)[...] = acc


@intrinsic(_plain_store)
def store(typingctx, acc, c, i, step):
    """c[i + r * step :] = acc[r, :] for every row r."""

    def codegen(context, builder, sig, args):
        value, array, index, distance = args
        emit = Emitter(context, builder, sig.args[0])
        pointer = emit.address("store", sig.args[1], array, index, distance, *emit.shape)
        for slot, (r, v) in enumerate(emit.slots):
            target = builder.bitcast(builder.gep(pointer, [emit.offset(r, distance, v)]), emit.vector.as_pointer())
            builder.store(emit.at(value, slot), target).align = emit.size
        return context.get_dummy_value()

    return types.void(acc, c, types.intp, types.intp), codegen


def _plain_rank1(acc, a, i, step, b, j):
    rows, width = acc.shape
    return acc + rows_at("rank1", a, i, step, (rows, 1)) * rows_at("rank1", b, j, step, (1, width))


@intrinsic(_plain_rank1)
def rank1(typingctx, acc, a, i, step, b, j):
    """acc plus the outer product of a column of a and a row of b: acc[r, :] + a[i + r * step] * b[j :].

    The multiplication and addition are fused if the CPU has FMA.
    """

    def codegen(context, builder, sig, args):
        value, a_array, i_index, distance, b_array, j_index = args
        emit = Emitter(context, builder, sig.args[0])
        rows, width = emit.shape
        a_pointer = emit.address("rank1", sig.args[1], a_array, i_index, distance, rows, 1)
        b_pointer = emit.address("rank1", sig.args[4], b_array, j_index, distance, 1, width)
        columns = [emit.load(b_pointer, emit.offset(0, distance, v)) for v in range(emit.tile.vectors)]
        factors = [emit.splat(emit.load(a_pointer, emit.offset(r, distance, 0), emit.scalar)) for r in range(acc.rows)]
        return emit.build(
            [emit.multiply_add(factors[r], columns[v], emit.at(value, slot)) for slot, (r, v) in enumerate(emit.slots)]
        )

    return acc(acc, a, types.intp, types.intp, b, types.intp), codegen


def _plain_prefetch(shape, a, i):
    pass


@intrinsic(_plain_prefetch)
def prefetch(typingctx, shape, a, i):
    """Prefetch as many elements of a[i :] as a row of a tile of this shape has; i may lie outside of a."""
    like = Tile(a.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit, (_, array, index) = Emitter(context, builder, like), args
        pointer = emit.pointer(sig.args[1], array, index)
        i32 = ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0i8")
        read, to_the_first_level, data = i32(0), i32(3), i32(1)
        for v in range(shape.vectors):
            line = builder.gep(pointer, [emit.offset(0, index, v)])
            builder.call(function, [line, read, to_the_first_level, data])
        return context.get_dummy_value()

    return types.void(shape, a, types.intp), codegen


def _plain_multiply_add(acc, x, y):
    return acc + x * y


@intrinsic(_plain_multiply_add)
def multiply_add(typingctx, acc, x, y):
    """acc + x * y element by element, fused if the CPU has FMA."""

    def codegen(context, builder, sig, args):
        emit = Emitter(context, builder, acc)
        return emit.map(lambda acc, x, y: emit.multiply_add(x, y, acc), *args)

    return acc(acc, x, y), codegen


def _define_operator(symbol, instruction):
    """Define an arithmetic operator on two tiles, element by element."""

    @type_callable(symbol)
    def typed(context):
        return lambda x, y: x if isinstance(x, Tile) and x == y else None

    @lower_builtin(symbol, Tile, Tile)
    def lowered(context, builder, sig, args):
        return Emitter(context, builder, sig.return_type).map(getattr(builder, instruction), *args)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _define_operator(_symbol, _instruction)
