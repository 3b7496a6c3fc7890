"""How a thread rests while it waits, and which core it runs on."""

import time

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.jit import intrinsic
from ..compiling.target import AARCH64, LINUX, MACHINE, WINDOWS, X86_64

# A waiting thread looks LOOKS times whether it may go on (0.1 ms or more). After that it sleeps between two looks.
# Threads that never sleep may stay together on one core for seconds (measured), because the operating system moves a
# thread mainly when the thread wakes up. Threads that sleep too soon miss short phases: with a tenth of LOOKS, two
# threads went to sleep in turns (measured).
LOOKS = 5_000

# The instruction by which a core rests between two looks, and its operands. On AArch64 this is isb, a barrier that
# empties the pipeline. The instruction `yield` would be the counterpart of x86's pause, but most cores skip it at once.
_REST = {X86_64: ("llvm.x86.sse2.pause",), AARCH64: ("llvm.aarch64.isb", 15)}


def _plain_pause(looks):
    time.sleep(0)  # lets another thread run


def _emit_call(builder, name, *numbers, returns):
    """LLVM code that calls a C function or an intrinsic of LLVM with numbers of 32 bits."""
    i32 = ir.IntType(32)
    function = ir.FunctionType(returns, [i32] * len(numbers))
    builder.call(cgutils.get_or_insert_function(builder.module, function, name), list(map(i32, numbers)))


def _emit_rest(builder, machine):
    if machine in _REST:
        _emit_call(builder, *_REST[machine], returns=ir.VoidType())


def _emit_sleep(builder, windows):
    # On Windows even the shortest sleep, Sleep(1), takes 1 to 16 ms. So there the thread only lets another one run.
    call = ("SwitchToThread",) if windows else ("usleep", 1)
    _emit_call(builder, *call, returns=ir.IntType(32))


@intrinsic(_plain_pause)
def pause(typingctx, looks):
    """After LOOKS looks, sleep, so that other threads can run. Before that, only rest the core a little."""

    def codegen(context, builder, sig, args):
        _emit_rest(builder, MACHINE)
        with builder.if_then(builder.icmp_signed(">", args[0], args[0].type(LOOKS)), likely=False):
            _emit_sleep(builder, WINDOWS)
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def _plain_current_core():
    return 1


@intrinsic(_plain_current_core)
def current_core(typingctx):
    """The core that this thread runs on, counted from 1; 0 if the system does not tell."""

    def codegen(context, builder, sig, args):
        i32, result = ir.IntType(32), context.get_value_type(types.int64)
        if not LINUX:
            return result(0)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(i32, []), "sched_getcpu")
        return builder.sext(builder.add(builder.call(function, []), i32(1)), result)

    return types.int64(), codegen


def _plain_leave(core):
    pass


@intrinsic(_plain_leave)
def leave(typingctx, core):
    """On Linux, move this thread away from `core` to another core that it may run on, if there is one.

    Afterwards the thread may run on the same cores as before, but not on cores that the process gets later.
    """

    def codegen(context, builder, sig, args):
        if LINUX:
            i32, i64 = ir.IntType(32), ir.IntType(64)
            cores = ir.ArrayType(i64, 16)  # a cpu_set_t: one bit for each core
            pointer = cores.as_pointer()
            kind = ir.FunctionType(i32, [i32, i64, pointer])
            get, set_ = (
                cgutils.get_or_insert_function(builder.module, kind, f"sched_{verb}affinity") for verb in ("get", "set")
            )
            allowed, others = (cgutils.alloca_once(builder, cores) for _ in range(2))
            with builder.if_then(builder.icmp_signed("==", builder.call(get, [i32(0), i64(128), allowed]), i32(0))):
                builder.store(builder.load(allowed), others)
                bit = builder.sub(args[0], i64(1))
                word = builder.gep(others, [i32(0), builder.and_(builder.lshr(bit, i64(6)), i64(15))])
                mask = builder.not_(builder.shl(i64(1), builder.and_(bit, i64(63))))
                builder.store(builder.and_(builder.load(word), mask), word)
                builder.call(set_, [i32(0), i64(128), others])  # fails if there is no other core
                builder.call(set_, [i32(0), i64(128), allowed])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
