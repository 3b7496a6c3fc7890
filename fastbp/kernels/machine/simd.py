"""The register tile: a small matrix that lives in vector registers while a product is summed into it.

A tile is an LLVM value `[rows * vectors x <lanes x float>]`. A product is then a plain loop of rank-1 updates, and LLVM
keeps the accumulators in registers for the whole loop::

    acc = zeros(tile(8, 3), c)
    for p in range(k):
        acc = rank1(acc, a, ia + p, lda, b, ib + p * ldb)      # acc[r, :] += a[ia + p + r * lda] * b[ib + p * ldb :]
    store(acc, c, ic, ldc)

Tiles also add, subtract and multiply element by element, for loops over flat vectors that have no remainder.

All arrays are flat; `i...` are offsets into them and `ld...`, `step` the distance between two rows, all in elements.
Callers own the bounds. With FASTBP_DEBUG=1 every tile, part and multiple is checked, and the first that is wrong stops
the process; otherwise there is no code for it.
"""

import functools
import math
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel
from numba.core.datamodel.models import OpaqueModel
from numba.core.registry import cpu_target
from numba.extending import lower_builtin, register_model, type_callable
from numba.np.arrayobj import populate_array

from ..compiling import interpreted
from ..compiling.jit import CHECKED, emit_check, inlined, intrinsic

VECTORS = 3  # of a full tile; products.py spells out tiles of 3, 2 and 1


def choose_tile(features: str, triple: str) -> tuple[int, int]:
    """(bytes of a vector, rows of a full tile) for a CPU, from the features that Numba compiles for.

    rows * VECTORS accumulators, VECTORS operands and one broadcast must fit the registers: 32 on AVX-512 and NEON, 16
    on AVX and SSE. Measured: 8x3 reaches the peak of AVX-512; on AVX2 4x3 does and 8x3 spills, at a third of the speed.
    """
    if "+avx512f" in features:
        return 64, 8
    if "+avx" in features:
        return 32, 4
    return 16, (8 if triple.startswith(("aarch64", "arm64")) else 4)


_TRIPLE, _CPU, _FEATURES = cpu_target.target_context.codegen().magic_tuple()
VECTOR_BYTES, ROWS = choose_tile(_FEATURES, _TRIPLE)
HALF = ROWS // 2


class Shape(types.Type):
    """Compile-time size of a tile; its value is empty."""

    def __init__(self, rows, vectors):
        self.rows, self.vectors = rows, vectors
        super().__init__(name=f"Shape({rows}x{vectors}, {VECTOR_BYTES} bytes)")


class Tile(types.Type):
    def __init__(self, dtype, rows, vectors):
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        super().__init__(name=f"Tile({dtype}, {rows}x{vectors}, {VECTOR_BYTES} bytes)")

    @property
    def lanes(self):
        return VECTOR_BYTES * 8 // self.dtype.bitwidth


register_model(Shape)(OpaqueModel)


@register_model(Tile)
class _TileModel(PrimitiveModel):
    def __init__(self, dmm, fe_type):
        scalar = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(
            dmm, fe_type, ir.ArrayType(ir.VectorType(scalar, fe_type.lanes), fe_type.rows * fe_type.vectors)
        )


def emit_fma(builder, x, y, z):
    """LLVM code of x * y + z, fused where the CPU can; x, y, z: numbers or vectors."""
    # fmuladd, not fma: on a CPU without FMA, llvm.fma is a library call, 16 times slower (measured).
    number = getattr(x.type, "element", x.type)
    bits = 32 if isinstance(number, ir.FloatType) else 64
    name = f"llvm.fmuladd.v{x.type.count}f{bits}" if number is not x.type else f"llvm.fmuladd.f{bits}"
    signature = ir.FunctionType(x.type, [x.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [x, y, z])


def _emit_bounds_check(context, builder, what, array, first, extent):
    """LLVM code that stops the process unless elements [first, first + extent) lie within a flat array."""
    zero, end = first.type(0), builder.add(first, extent)
    ordered = [builder.icmp_signed("<=", x, y) for x, y in ((zero, first), (first, end), (end, array.nitems))]
    inside = functools.reduce(builder.and_, ordered)
    emit_check(
        context, builder, inside, f"{what} of elements %lld : %lld of an array of %lld", first, end, array.nitems
    )


class _Emitter:
    """LLVM code of one intrinsic on tiles of one type."""

    def __init__(self, context, builder, tile):
        self.context, self.builder, self.tile = context, builder, tile
        self.scalar = context.get_value_type(tile.dtype)
        self.vector = ir.VectorType(self.scalar, tile.lanes)
        self.size = tile.dtype.bitwidth // 8
        self.shape = tile.rows, tile.vectors * tile.lanes
        self.slots = [(r, v) for r in range(tile.rows) for v in range(tile.vectors)]

    def address(self, what, array_type, array, index, step, rows, columns):
        """Byte pointer to element `index` of a flat array, where `rows` rows begin that are `step` elements apart.

        what: what wants to read or write all their `columns`.
        """
        if CHECKED:
            checked = self.context.make_array(array_type)(self.context, self.builder, array)
            extent = self.builder.add(self.builder.mul(step, step.type(rows - 1)), step.type(columns))
            _emit_bounds_check(self.context, self.builder, what, checked, index, extent)
        return self.pointer(array_type, array, index)

    def pointer(self, array_type, array, index):
        """Byte pointer to element `index` of a flat array."""
        array = self.context.make_array(array_type)(self.context, self.builder, array)
        base = self.builder.bitcast(array.data, ir.IntType(8).as_pointer())
        return self.builder.gep(base, [self.builder.mul(index, ir.Constant(index.type, self.size))])

    def offset(self, row, step, vector):
        """Bytes from a tile's first element to vector `vector` of row `row`."""
        of_row = self.builder.mul(step, ir.Constant(step.type, row * self.size))
        return self.builder.add(of_row, ir.Constant(step.type, vector * self.tile.lanes * self.size))

    def load(self, pointer, offset, kind=None):
        kind = kind or self.vector
        value = self.builder.load(self.builder.bitcast(self.builder.gep(pointer, [offset]), kind.as_pointer()))
        value.align = self.size
        return value

    def splat(self, value):
        i32, undefined = ir.IntType(32), ir.Constant(self.vector, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(i32, self.tile.lanes), [0] * self.tile.lanes)
        return self.builder.shuffle_vector(self.builder.insert_element(undefined, value, i32(0)), undefined, lanes)

    def call(self, name, *vectors):
        """LLVM's intrinsic `name` on whole vectors."""
        signature = ir.FunctionType(vectors[0].type, [vector.type for vector in vectors])
        name = f"llvm.{name}.v{vectors[0].type.count}f{self.size * 8}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, signature, name), vectors)

    def multiply_add(self, x, y, acc):
        return emit_fma(self.builder, x, y, acc)

    def map(self, function, *tiles):
        """The tile of function(vector, ...) of the tiles' vectors."""
        return self.build([function(*(self.at(tile, slot) for tile in tiles)) for slot in range(len(self.slots))])

    def build(self, values):
        """A tile from its vectors, slot by slot."""
        tile = ir.Constant(self.context.get_value_type(self.tile), ir.Undefined)
        for slot, value in enumerate(values):
            tile = self.builder.insert_value(tile, value, slot)
        return tile

    def at(self, tile, slot):
        return self.builder.extract_value(tile, slot)


@intrinsic(interpreted.part)
def part(typingctx, x, start, size):
    """x[start : start + size] of a flat array, borrowed: a pointer and a length, nothing counted."""
    result = types.Array(x.dtype, 1, "C")

    def codegen(context, builder, sig, args):
        source = context.make_array(sig.args[0])(context, builder, args[0])
        if CHECKED:
            _emit_bounds_check(context, builder, "part", source, args[1], args[2])
        view = context.make_array(result)(context, builder)
        data = builder.gep(source.data, [args[1]])
        populate_array(view, data, [args[2]], [source.itemsize], source.itemsize, meminfo=None)
        return view._getvalue()

    return result(x, types.intp, types.intp), codegen


@intrinsic(interpreted.check_multiple)
def check_multiple(typingctx, n, divisor):
    """What the caller asks of a size: n is a multiple of `divisor`."""

    def codegen(context, builder, sig, args):
        if CHECKED:
            holds = builder.icmp_signed("==", builder.srem(*args), args[0].type(0))
            emit_check(context, builder, holds, "%lld is no multiple of %lld", *args)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic(lambda rows, vectors: interpreted.Shape(rows, vectors, VECTOR_BYTES), prefer_literal=True)
def tile(typingctx, rows, vectors):
    """The shape rows x (vectors * lanes); both must be literals."""
    shape = Shape(rows.literal_value, vectors.literal_value)
    return shape(rows, vectors), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic(interpreted.columns)
def columns(typingctx, shape, like):
    """Columns of a tile of that shape with the dtype of array `like`, known when compiling."""
    size = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, size.vectors * size.lanes)

    return types.intp(shape, like), codegen


@intrinsic(interpreted.zeros)
def zeros(typingctx, shape, like):
    """A tile of zeros with the dtype of array `like`."""
    result = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(result), None)

    return result(shape, like), codegen


@intrinsic(interpreted.load)
def load(typingctx, shape, a, i, step):
    """The tile whose row r is a[i + r * step :]; step 0 repeats one row."""
    result = Tile(a.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit, (_, array, index, distance) = _Emitter(context, builder, result), args
        pointer = emit.address("load", sig.args[1], array, index, distance, *emit.shape)
        return emit.build([emit.load(pointer, emit.offset(r, distance, v)) for r, v in emit.slots])

    return result(shape, a, types.intp, types.intp), codegen


@intrinsic(interpreted.store)
def store(typingctx, acc, c, i, step):
    """c[i + r * step :] = acc[r, :] for every row r."""

    def codegen(context, builder, sig, args):
        value, array, index, distance = args
        emit = _Emitter(context, builder, sig.args[0])
        pointer = emit.address("store", sig.args[1], array, index, distance, *emit.shape)
        for slot, (r, v) in enumerate(emit.slots):
            target = builder.bitcast(builder.gep(pointer, [emit.offset(r, distance, v)]), emit.vector.as_pointer())
            builder.store(emit.at(value, slot), target).align = emit.size
        return context.get_dummy_value()

    return types.void(acc, c, types.intp, types.intp), codegen


@intrinsic(interpreted.rank1)
def rank1(typingctx, acc, a, i, step, b, j):
    """acc[r, :] + a[i + r * step] * b[j :], fused: the outer product of a column of a and a row of b."""

    def codegen(context, builder, sig, args):
        value, a_array, i_index, distance, b_array, j_index = args
        emit = _Emitter(context, builder, sig.args[0])
        rows, width = emit.shape
        a_pointer = emit.address("rank1", sig.args[1], a_array, i_index, distance, rows, 1)
        b_pointer = emit.address("rank1", sig.args[4], b_array, j_index, distance, 1, width)
        columns = [emit.load(b_pointer, emit.offset(0, distance, v)) for v in range(emit.tile.vectors)]
        factors = [emit.splat(emit.load(a_pointer, emit.offset(r, distance, 0), emit.scalar)) for r in range(acc.rows)]
        return emit.build(
            [emit.multiply_add(factors[r], columns[v], emit.at(value, slot)) for slot, (r, v) in enumerate(emit.slots)]
        )

    return acc(acc, a, types.intp, types.intp, b, types.intp), codegen


@intrinsic(interpreted.prefetch)
def prefetch(typingctx, shape, a, i):
    """Have the cache fetch what a row of a tile of that shape would load from a[i :], which may lie outside of a."""
    like = Tile(a.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit, (_, array, index) = _Emitter(context, builder, like), args
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


@intrinsic(interpreted.splat)
def splat(typingctx, shape, like, value):
    """The tile with the dtype of array `like` whose elements all are `value`."""
    result = Tile(like.dtype, shape.rows, shape.vectors)

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, result)
        vector = emit.splat(context.cast(builder, args[2], sig.args[2], result.dtype))
        return emit.build([vector] * len(emit.slots))

    return result(shape, like, types.unliteral(value)), codegen


def _define_operator(symbol, instruction):
    """Give two tiles an arithmetic operator, element by element."""

    @type_callable(symbol)
    def typed(context):
        return lambda x, y: x if isinstance(x, Tile) and x == y else None

    @lower_builtin(symbol, Tile, Tile)
    def lowered(context, builder, sig, args):
        return _Emitter(context, builder, sig.return_type).map(getattr(builder, instruction), *args)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _define_operator(_symbol, _instruction)


@intrinsic(interpreted.transposed)
def transposed(typingctx, x):
    """Transpose of a square tile, one vector wide."""

    def codegen(context, builder, sig, args):
        emit, lanes = _Emitter(context, builder, x), x.lanes
        rows = [emit.at(args[0], r) for r in range(lanes)]
        picks, step = ir.VectorType(ir.IntType(32), lanes), 1
        while step < lanes:  # exchange the blocks off the diagonal, of 1, 2, 4 ... rows and columns
            upper = [k + lanes - step if k & step else k for k in range(lanes)]
            upper, lower = (ir.Constant(picks, k) for k in (upper, [k + step for k in upper]))
            for r in range(lanes):
                if not r & step:
                    pair = rows[r], rows[r + step]
                    rows[r], rows[r + step] = (builder.shuffle_vector(*pair, which) for which in (upper, lower))
            step *= 2
        return emit.build(rows)

    return x(x), codegen


@intrinsic(interpreted.first_columns)
def first_columns(typingctx, x, n):
    """A tile one vector wide with zeros from column n on."""

    def codegen(context, builder, sig, args):
        emit, i32 = _Emitter(context, builder, x), ir.IntType(32)
        kind = ir.VectorType(i32, x.lanes)
        n = builder.trunc(args[1], i32)
        limit, undefined = ir.Constant(kind, [0] * x.lanes), ir.Constant(kind, ir.Undefined)
        limit = builder.shuffle_vector(builder.insert_element(undefined, n, i32(0)), undefined, limit)
        kept = builder.icmp_signed("<", ir.Constant(kind, list(range(x.lanes))), limit)
        return emit.map(lambda vector: builder.select(kept, vector, ir.Constant(emit.vector, None)), args[0])

    return x(x, types.intp), codegen


@intrinsic(lambda like: interpreted.Shape(VECTOR_BYTES // like.itemsize, 1, VECTOR_BYTES))
def square(typingctx, like):
    """The shape of a square tile, one vector wide, with the dtype of array `like`."""
    shape = Shape(VECTOR_BYTES * 8 // like.dtype.bitwidth, 1)
    return shape(like), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic(interpreted.multiply_add)
def multiply_add(typingctx, acc, x, y):
    """acc + x * y element by element, fused."""

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, acc)
        return emit.map(lambda acc, x, y: emit.multiply_add(x, y, acc), *args)

    return acc(acc, x, y), codegen


def _emit_over_root(emit, x, v, epsilon):
    """LLVM code of x / (sqrt(v) + epsilon) for vectors of 64 bytes, where no v is subnormal and no quotient infinite.

    It has the bits of a division by a square root, unless a remainder is too small for a normal number.
    AVX-512 estimates 1 / sqrt(v) and 1 / d to 14 bits; each step of Newton's doubles them, and the remainder of the
    last one corrects the root and the quotient. The CPU's own root and division have vectors wait for each other:
    without them a step of 100000 x 8 (128, 32) in float64 takes 10 % less, of 1000 x 16 (32, 16) 17 % (measured).
    """
    builder, fma, bits = emit.builder, emit.multiply_add, emit.size * 8
    n = emit.vector.count

    def estimate(what, y):
        mask = ir.IntType(n)
        kind = ir.FunctionType(emit.vector, [emit.vector, emit.vector, mask])
        name = f"llvm.x86.avx512.{what}14.p{'s' if bits == 32 else 'd'}.512"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [y, y, mask(-1)])

    def constant(number):
        return ir.Constant(emit.vector, [number] * n)

    steps = range(1 if bits == 32 else 2)
    # sqrt(0) is 0 times anything finite, and no estimate for a normal v is larger
    largest = constant(2.0**64 if bits == 32 else 2.0**512)
    y = estimate("rsqrt", v)
    y = builder.select(builder.fcmp_ordered(">", y, largest), largest, y)
    root, half = builder.fmul(v, y), builder.fmul(constant(0.5), y)
    for _ in steps:
        error = fma(builder.fneg(root), half, constant(0.5))
        root, half = fma(root, error, root), fma(half, error, half)
    root = fma(fma(builder.fneg(root), root, v), half, root)

    d = builder.fadd(root, epsilon)
    y = estimate("rcp", d)
    for _ in steps:
        y = fma(y, fma(builder.fneg(d), y, constant(1.0)), y)
    quotient = builder.fmul(x, y)
    quotient = fma(fma(builder.fneg(d), quotient, x), y, quotient)
    infinite = builder.fcmp_ordered("==", v, constant(math.inf))
    return builder.select(infinite, builder.fmul(x, constant(0.0)), quotient)


@intrinsic(interpreted.over_root)
def over_root(typingctx, x, v, epsilon):
    """x / (sqrt(v) + epsilon), element by element, for v >= 0."""

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, x)
        if VECTOR_BYTES == 64:
            return emit.map(functools.partial(_emit_over_root, emit), *args)
        return emit.map(lambda x, v, e: builder.fdiv(x, builder.fadd(emit.call("sqrt", v), e)), *args)

    return x(x, v, epsilon), codegen


def _emit_sum(builder, vector):
    """LLVM code of the sum of a vector's elements, always by the same tree of additions."""
    lanes = vector.type.count
    while lanes > 1:
        lanes //= 2
        undefined = ir.Constant(vector.type, ir.Undefined)
        low, high = (
            builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), picks))
            for picks in (list(range(lanes)), list(range(lanes, 2 * lanes)))
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.IntType(32)(0))


@intrinsic(interpreted.total)
def total(typingctx, x):
    """Sum of the elements of a tile of one vector, in float64."""

    def codegen(context, builder, sig, args):
        emit = _Emitter(context, builder, x)
        vector = emit.at(args[0], 0)
        if emit.size == 4:
            vector = builder.fpext(vector, ir.VectorType(ir.DoubleType(), x.lanes))
        return _emit_sum(builder, vector)

    return types.float64(x), codegen


@intrinsic(interpreted.store_sums)
def store_sums(typingctx, acc, first, c, i, step):
    """c[i + r * step] = first + the sum of row r of a tile one vector wide, for every row r."""

    def codegen(context, builder, sig, args):
        value, first, array, index, distance = args
        emit = _Emitter(context, builder, acc)
        pointer = emit.address("store_sums", sig.args[2], array, index, distance, acc.rows, 1)
        for r in range(acc.rows):
            target = builder.gep(pointer, [emit.offset(r, distance, 0)])
            row = builder.fadd(first, _emit_sum(builder, emit.at(value, r)))
            builder.store(row, builder.bitcast(target, emit.scalar.as_pointer())).align = emit.size
        return context.get_dummy_value()

    return types.void(acc, acc.dtype, c, types.intp, types.intp), codegen


@inlined
def prefetch_all(x, i, n):
    """Have the cache fetch x[i : i + n]."""
    for k in range(i, i + n, VECTOR_BYTES // x.itemsize):
        prefetch(tile(1, 1), x, k)
    prefetch(tile(1, 1), x, i + n - 1)  # which may be a line more, for nobody aligns x


@inlined
def copy(x, i, a, j, n):
    """a[j : j + n] = x[i : i + n], of one type; the last vector overlaps the one before, so nothing else is touched."""
    lanes = VECTOR_BYTES // a.itemsize
    if n < lanes:
        x_i, a_j = part(x, i, n), part(a, j, n)
        for k in range(n):
            a_j[k] = x_i[k]
    else:
        for k in range(0, n - lanes + 1, lanes):
            store(load(tile(1, 1), x, i + k, 0), a, j + k, 0)
        store(load(tile(1, 1), x, i + n - lanes, 0), a, j + n - lanes, 0)


@inlined
def add(x, i, a, j, n):
    """a[j : j + n] += x[i : i + n]; n: a multiple of a vector."""
    lanes = VECTOR_BYTES // a.itemsize
    check_multiple(n, lanes)
    for k in range(0, n, lanes):
        store(load(tile(1, 1), a, j + k, 0) + load(tile(1, 1), x, i + k, 0), a, j + k, 0)
