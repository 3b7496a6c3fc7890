"""Atomic operations on words that threads share."""

import threading

from numba import types
from numba.core import cgutils

from ..compiling.jit import intrinsic


def _emit_pointer(context, builder, array, index, kind):
    return cgutils.get_item_pointer(
        context, builder, kind, context.make_array(kind)(context, builder, array), [index], wraparound=False
    )


def _emit_atomic(operation, x):
    """The signature and the code of an atomic operation of LLVM on x[i]. The operation returns the old x[i]."""

    def codegen(context, builder, sig, args):
        pointer = _emit_pointer(context, builder, args[0], args[1], x)
        return builder.atomic_rmw(operation, pointer, args[2], "acq_rel")

    return types.int64(x, types.intp, types.int64), codegen


# This lock makes the Python twins of `add_to` and `exchange` atomic.
_at_once = threading.Lock()


def _plain_add_to(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] += n
    return before


@intrinsic(_plain_add_to)
def add_to(typingctx, x, i, n):
    """x[i] += n, atomically; returns the old x[i]."""
    return _emit_atomic("add", x)


def _plain_exchange(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] = n
    return before


@intrinsic(_plain_exchange)
def exchange(typingctx, x, i, n):
    """x[i] = n, atomically; returns the old x[i]."""
    return _emit_atomic("xchg", x)


def _plain_read(x, i):
    return int(x[i])


@intrinsic(_plain_read)
def read(typingctx, x, i):
    """x[i], by an acquire-load: everything that the writer of x[i] had written earlier is visible too."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(_emit_pointer(context, builder, args[0], args[1], x), "acquire", 8)

    return types.int64(x, types.intp), codegen
