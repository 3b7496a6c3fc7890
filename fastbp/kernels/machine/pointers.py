"""Pointers to arguments that functions pass on to each other.

Numba passes an array as seven words, so the arguments of a phase take some two hundred words, and every call would copy
them. With pointers, a step of one example of 20 features with a hidden layer of 50 units takes 0.79 times as long in
float32, and 0.91 times in float64 (measured).
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.jit import intrinsic


@intrinsic(lambda value: value)
def pointer_to(typingctx, value):
    """A pointer to a copy of a tuple. It is valid until the function returns that calls this one."""
    result = types.CPointer(value)

    def codegen(context, builder, sig, args):
        slot = cgutils.alloca_once(builder, args[0].type)
        builder.store(args[0], slot)
        return builder.bitcast(slot, context.get_value_type(result))

    return result(value), codegen


def _emit_load(builder, pointer, kind):
    """Load the words of a structure one by one, so that LLVM drops those that are not used."""
    if not isinstance(kind, ir.BaseStructType | ir.ArrayType):
        return builder.load(pointer)
    value = ir.Constant(kind, ir.Undefined)
    for i in range(len(kind)):
        part = builder.gep(pointer, [ir.IntType(32)(0), ir.IntType(32)(i)], inbounds=True)
        value = builder.insert_value(value, _emit_load(builder, part, kind.gep(ir.IntType(32)(i))), i)
    return value


@intrinsic(lambda pointer: pointer)
def pointed(typingctx, pointer):
    """The tuple that `pointer_to` copied."""

    def codegen(context, builder, sig, args):
        kind = context.get_value_type(pointer.dtype)
        return _emit_load(builder, builder.bitcast(args[0], kind.as_pointer()), kind)

    return pointer.dtype(pointer), codegen
