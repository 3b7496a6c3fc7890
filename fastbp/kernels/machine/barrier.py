"""Threads that work on one call together: who they are, and how they wait for each other.

A step of training is some tens of microseconds, and a parallel region of Numba's takes several to begin and to end. So
a call has a single region, whose threads meet at a barrier between the phases of each step.

Nobody promises that the tasks of a region run at the same time: a layer may run them one after the other in a single
thread, and a machine that others use may not give us its cores. So the first thread to come waits a moment for the
others, and then shares out the work among those who are there: they run, so waiting for them ends. Who comes later
finds the work shared out, and leaves. That changes no bit of the result.
"""

import platform
import sys
import threading
import time

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.jit import inlined, intrinsic, linked

# Fields of `crew`, an array of 64-bit integers, each in a cache line of its own: who came so far, how many take part (0
# while that is open), how many of them wait at the barrier, how often it was passed, and the core of the first one.
COME, MEMBERS, WAITING, PASSED, CORE, CREW_FIELDS = range(0, 96, 16)
SHARED_OUT = 1 << 32  # in COME: nobody may join any more

# Looks at a number that another thread is to change before this one sleeps between two of them, and for others who
# might join: some tenths of a millisecond. Two threads that never sleep may stay on one core for long (measured: for
# seconds), for the operating system moves those who wake up. But a sleep is longer than a short phase, and who is late
# makes the next one wait: after a tenth of this, two threads went to sleep in turns.
LOOKS = 5_000
# How often the first one sleeps, for some 50 us, before it goes on without the others. An idle thread is often woken on
# the core of the one who wakes it, where it cannot come before that one sleeps: without (measured), 40 to 100 % of the
# calls after a pause of a tenth of a second ran on one thread, for all their length.
NAPS = 20

_LINUX = sys.platform == "linux"
_PAUSE = "llvm.x86.sse2.pause" if platform.machine().lower() in ("x86_64", "amd64") else ""
_SLEEP = "Sleep" if sys.platform == "win32" else "usleep"  # for as short as it takes


def _emit_pointer(context, builder, array, index, kind):
    return cgutils.get_item_pointer(
        context, builder, kind, context.make_array(kind)(context, builder, array), [index], wraparound=False
    )


# Where nothing is compiled, a region has two tasks, which run one after the other.
_at_once = threading.Lock()


def _plain_add_to(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] += n
    return before


@intrinsic(_plain_add_to)
def _add_to(typingctx, x, i, n):
    """x[i] += n, at once; returns x[i] before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", _emit_pointer(context, builder, args[0], args[1], x), args[2], "acq_rel")

    return types.int64(x, types.intp, types.int64), codegen


def _plain_exchange(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] = n
    return before


@intrinsic(_plain_exchange)
def _exchange(typingctx, x, i, n):
    """x[i] = n, at once; returns x[i] before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("xchg", _emit_pointer(context, builder, args[0], args[1], x), args[2], "acq_rel")

    return types.int64(x, types.intp, types.int64), codegen


def _plain_read(x, i):
    return int(x[i])


@intrinsic(_plain_read)
def _read(typingctx, x, i):
    """x[i], and of all else what the thread who wrote that had written before."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(_emit_pointer(context, builder, args[0], args[1], x), "acquire", 8)

    return types.int64(x, types.intp), codegen


def _plain_pause(looks):
    time.sleep(0)  # lets another thread run


@intrinsic(_plain_pause)
def _pause(typingctx, looks):
    """Between two looks: have the core rest a little or, after LOOKS of them, another thread run."""

    def codegen(context, builder, sig, args):
        void = ir.VoidType()
        if _PAUSE:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(void, []), _PAUSE), [])
        with builder.if_then(builder.icmp_signed(">", args[0], args[0].type(LOOKS)), likely=False):
            i32 = ir.IntType(32)
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(i32, [i32]), _SLEEP)
            builder.call(function, [i32(1)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def _plain_core():
    return 1


@intrinsic(_plain_core)
def _core(typingctx):
    """The core that this thread runs on, from 1; 0 where nobody tells."""

    def codegen(context, builder, sig, args):
        i32, result = ir.IntType(32), context.get_value_type(types.int64)
        if not _LINUX:
            return result(0)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(i32, []), "sched_getcpu")
        return builder.sext(builder.add(builder.call(function, []), i32(1)), result)

    return types.int64(), codegen


def _plain_leave(core):
    pass


@intrinsic(_plain_leave)
def _leave(typingctx, core):
    """Move this thread to another core that it may run on, if there is one.

    Where it may run is then as it was, but for cores that the process is given later.
    """

    def codegen(context, builder, sig, args):
        if _LINUX:
            i32, i64 = ir.IntType(32), ir.IntType(64)
            cores = ir.ArrayType(i64, 16)  # a cpu_set_t: a bit for each
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
                builder.call(set_, [i32(0), i64(128), others])  # which fails if there is no other
                builder.call(set_, [i32(0), i64(128), allowed])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def _plain_n_threads():
    return 2


@intrinsic(_plain_n_threads)
def n_threads(typingctx):
    """Threads that the next region of this thread has."""

    def codegen(context, builder, sig, args):
        # numba.get_num_threads in compiled code has an address in it, which is another one in another process.
        function = ir.FunctionType(context.get_value_type(types.intp), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "get_num_threads"), [])

    return types.intp(), codegen


@inlined
def assemble(crew):
    """Before the region begins: nobody has come yet."""
    for field in range(CREW_FIELDS):
        crew[field] = 0


@linked
def join(crew, most):
    """(rank, members): a number from 0 on for each of the threads that take part, `most` at most, and how many.

    rank is at least members for a thread that has come too late.
    """
    rank, looks = _add_to(crew, COME, 1), 0
    if rank == 0:
        _exchange(crew, CORE, _core())
        while _read(crew, COME) < most and looks < LOOKS + NAPS:
            _pause(looks)
            looks += 1
        _exchange(crew, MEMBERS, min(_exchange(crew, COME, SHARED_OUT), most))
    elif rank < most:
        # Both on one core would take turns at each barrier until the system parts them, which takes it milliseconds:
        # without (measured), the first two calls after every second pause took 5 ms each, in place of 0.4.
        core = _core()
        if core > 0 and core == _read(crew, CORE):
            _leave(core)
        while _read(crew, MEMBERS) == 0:
            _pause(looks)
            looks += 1
    return rank, _read(crew, MEMBERS)


@linked
def meet(crew, members):
    """Wait for all members; what each has written before, all can read after."""
    if members == 1:
        return
    passed, looks = _read(crew, PASSED), 0
    if _add_to(crew, WAITING, 1) == members - 1:
        _exchange(crew, WAITING, 0)
        _exchange(crew, PASSED, passed + 1)
    else:
        while _read(crew, PASSED) == passed:
            _pause(looks)
            looks += 1


@inlined
def share(first, last, rank, members):
    """[begin, end) of the tasks from first to last that are a member's."""
    n = last - first
    return first + n * rank // members, first + n * (rank + 1) // members
