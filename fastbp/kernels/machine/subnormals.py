"""Subnormal numbers (in float32, below 1.2e-38) count as 0 while a network trains on an x86-64 CPU.

Weights of units that never fire may decay to subnormal numbers, and probabilities of impossible classes may be
subnormal. An Intel core needs some 150 cycles for an operation on a subnormal number. Two fits in float32 that kept
subnormal numbers spent half of their time on them (measured: iris, and 100000 rows of 8 features). A prediction keeps
subnormal numbers, so that its results have the full range.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.jit import intrinsic
from ..compiling.target import X86

# With the bits FLUSH in its control register MXCSR, an x86 CPU counts subnormal results and operands as 0.
FLUSH = 0x8040 if X86 else 0


def _call(builder, name, slot):
    pointer = builder.bitcast(slot, ir.IntType(8).as_pointer())
    function = ir.FunctionType(ir.VoidType(), [pointer.type])
    builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.x86.sse.{name}"), [pointer])


def _plain_flush_subnormals():
    return 0


@intrinsic(_plain_flush_subnormals)
def flush_subnormals(typingctx):
    """On x86-64, let subnormal numbers count as 0 in this thread; returns the argument for `restore_subnormals`."""

    def codegen(context, builder, sig, args):
        if not FLUSH:
            return context.get_constant(types.int32, 0)
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _call(builder, "stmxcsr", slot)
        before = builder.load(slot)
        builder.store(builder.or_(before, before.type(FLUSH)), slot)
        _call(builder, "ldmxcsr", slot)
        return before

    return types.int32(), codegen


def _plain_restore_subnormals(before):
    pass


@intrinsic(_plain_restore_subnormals)
def restore_subnormals(typingctx, before):
    """Undo `flush_subnormals` in this thread. before: the number that `flush_subnormals` returned."""

    def codegen(context, builder, sig, args):
        if FLUSH:
            slot = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(args[0], slot)
            _call(builder, "ldmxcsr", slot)
        return context.get_dummy_value()

    return types.void(types.int32), codegen
