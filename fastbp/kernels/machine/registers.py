"""The register tile, as a Numba type and as LLVM code; simd.py has its operations.

compiling/target.py chooses the size of a tile.
"""

import functools

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel
from numba.core.datamodel.models import OpaqueModel
from numba.extending import register_model

from ..compiling.jit import CHECKED, emit_check
from ..compiling.target import ROWS, VECTOR_BYTES, VECTORS

__all__ = ["ROWS", "VECTORS", "VECTOR_BYTES"]  # other files import the size of a tile from here

HALF = ROWS // 2


class Shape(types.Type):
    """The size of a tile. The type itself holds the numbers; a value of this type is empty."""

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
    """LLVM code of x * y + z, fused if the CPU has FMA; x, y, z: numbers or vectors."""
    # This is fmuladd, not fma: on a CPU without FMA, llvm.fma is a library call, 16 times slower (measured).
    number = getattr(x.type, "element", x.type)
    bits = 32 if isinstance(number, ir.FloatType) else 64
    name = f"llvm.fmuladd.v{x.type.count}f{bits}" if number is not x.type else f"llvm.fmuladd.f{bits}"
    signature = ir.FunctionType(x.type, [x.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [x, y, z])


def emit_bounds_check(builder, what, array, first, extent):
    """LLVM code that stops the process unless elements [first, first + extent) lie within a flat array."""
    zero, end = first.type(0), builder.add(first, extent)
    ordered = [builder.icmp_signed("<=", x, y) for x, y in ((zero, first), (first, end), (end, array.nitems))]
    inside = functools.reduce(builder.and_, ordered)
    emit_check(builder, inside, f"{what} of elements %lld : %lld of an array of %lld", first, end, array.nitems)


class Emitter:
    """Emits the LLVM code of an intrinsic on tiles of one type."""

    def __init__(self, context, builder, tile):
        self.context, self.builder, self.tile = context, builder, tile
        self.scalar = context.get_value_type(tile.dtype)
        self.vector = ir.VectorType(self.scalar, tile.lanes)
        self.size = tile.dtype.bitwidth // 8
        self.shape = tile.rows, tile.vectors * tile.lanes
        self.slots = [(r, v) for r in range(tile.rows) for v in range(tile.vectors)]

    def address(self, what, array_type, array, index, step, rows, columns):
        """Byte pointer to element `index` of a flat array, with a bounds check if FASTBP_DEBUG=1.

        The operation `what` will access `rows` rows from there, `step` elements apart, and `columns` elements of each
        row.
        """
        if CHECKED:
            checked = self.context.make_array(array_type)(self.context, self.builder, array)
            extent = self.builder.add(self.builder.mul(step, step.type(rows - 1)), step.type(columns))
            emit_bounds_check(self.builder, what, checked, index, extent)
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
        """A new tile: for each slot, `function` gets the vectors of `tiles` at that slot and returns the new vector."""
        return self.build([function(*(self.at(tile, slot) for tile in tiles)) for slot in range(len(self.slots))])

    def build(self, values):
        """A tile from its vectors, in the order of `slots`."""
        tile = ir.Constant(self.context.get_value_type(self.tile), ir.Undefined)
        for slot, value in enumerate(values):
            tile = self.builder.insert_value(tile, value, slot)
        return tile

    def at(self, tile, slot):
        return self.builder.extract_value(tile, slot)


def emit_sum(builder, vector):
    """LLVM code of the sum of a vector's elements, always with the same tree of additions."""
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
