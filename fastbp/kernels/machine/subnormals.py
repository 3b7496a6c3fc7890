"""Subnormal numbers (in float32, below 1.2e-38) count as 0 while a network trains on an x86-64 or AArch64 CPU.

Weights of units that never fire may decay to subnormal numbers, and probabilities of impossible classes may be
subnormal. An Intel core needs some 150 cycles for an operation on a subnormal number. Two fits in float32 that kept
subnormal numbers spent half of their time on them (measured: iris, and 100000 rows of 8 features). A prediction keeps
subnormal numbers, so that its results have the full range. ARM cores need few cycles more for them. There they count
as 0 all the same, so that a fit gives the same model on both kinds of CPU, up to rounding.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.jit import intrinsic
from ..compiling.target import AARCH64, MACHINE, X86_64

I32, I64 = ir.IntType(32), ir.IntType(64)
# With these bits in its control register, a CPU counts subnormal results and operands as 0. The register is MXCSR on
# x86-64 and FPCR on AArch64.
BITS = {X86_64: 0x8040, AARCH64: 1 << 24}
FLUSH = BITS.get(MACHINE, 0)


def _emit_call(builder, name, returns, *args):
    function = ir.FunctionType(returns, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


def _emit_read(builder, machine):
    """LLVM code of the control register, as a number of 32 bits."""
    if machine == AARCH64:
        return builder.trunc(_emit_call(builder, "llvm.aarch64.get.fpcr", I64), I32)
    slot = cgutils.alloca_once(builder, I32)
    _emit_call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(slot, cgutils.voidptr_t))
    return builder.load(slot)


def _emit_write(builder, machine, value):
    """LLVM code that sets the control register to a number of 32 bits."""
    if machine == AARCH64:
        _emit_call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), builder.zext(value, I64))
        return
    slot = cgutils.alloca_once(builder, I32)
    builder.store(value, slot)
    _emit_call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(slot, cgutils.voidptr_t))


def _plain_flush_subnormals():
    return 0


@intrinsic(_plain_flush_subnormals)
def flush_subnormals(typingctx):
    """Let subnormal numbers count as 0 in this thread; returns the argument for `restore_subnormals`."""

    def codegen(context, builder, sig, args):
        if not FLUSH:
            return context.get_constant(types.int32, 0)
        before = _emit_read(builder, MACHINE)
        _emit_write(builder, MACHINE, builder.or_(before, I32(FLUSH)))
        return before

    return types.int32(), codegen


def _plain_restore_subnormals(before):
    pass


@intrinsic(_plain_restore_subnormals)
def restore_subnormals(typingctx, before):
    """Undo `flush_subnormals` in this thread. before: the number that `flush_subnormals` returned."""

    def codegen(context, builder, sig, args):
        if FLUSH:
            _emit_write(builder, MACHINE, args[0])
        return context.get_dummy_value()

    return types.void(types.int32), codegen
