"""The only place that compiles: the decorators, their flags, and the lists of compiled kernels.

There are four sorts of kernels:

- Python calls an `entry`.
- A `linked` kernel becomes a part of each entry or deferred kernel that calls it.
- LLVM pastes an `inlined` kernel into each function that calls it.
- A `deferred` kernel is compiled on its own, when a network first needs it, and is called by its address. A network
  needs only a few activations, losses, optimisers and widths of tiles, and its first fit waits only for those.

Entries and deferred kernels are kept on disk. With NUMBA_DISABLE_JIT=1 nothing is compiled, and all kernels run as
Python, see interpreted.py.
"""

import os
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from . import compilers, interpreted, levels, target
from .cache import MISSING, KernelCache
from .kinds import types_of

# FASTBP_DEBUG=1 compiles checks of bounds, lengths and addresses into the kernels. The variable is read only once,
# because compiled code does not change afterwards.
CHECKED = os.environ.get("FASTBP_DEBUG", "0") not in ("", "0")
VARIANT = f"checked={CHECKED}"
MESSAGE_BYTES = 256  # the message of a check is shorter

KERNELS = __package__.rpartition(".")[0]
KEPT: list[Any] = []  # the dispatchers of the kernels that are kept on disk
DEFERRED: list["Deferred"] = []


def _is_ours(function):
    """Whether a function is of `fastbp.kernels`. No other one is kept, because the digest covers only these sources."""
    return function.__module__.startswith(f"{KERNELS}.")


def _kept(function, **options):
    """Compile a function on its own. If the function is ours, keep the machine code on disk."""
    if interpreted.ENABLED:
        return interpreted.entry(function)
    dispatcher = njit(**(FLAGS | options))(function)
    if _is_ours(function) and not MISSING:
        dispatcher._cache = KernelCache(dispatcher.__name__, VARIANT)
        KEPT.append(dispatcher)
    return dispatcher


# There is no fastmath, because every number of threads must give the same bits. With fastmath's flags `reassoc` and
# `contract`, one function may round differently in two callers. The flag `nnan` would remove the checks for NaN.
# NumPy's error model keeps division branch-free.
# Nobody calls a kernel from C.
_COMMON = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False, "no_cfunc_wrapper": True}
FLAGS = _COMMON | compilers.flags(linked=False)
LINKED = _COMMON | {"no_cpython_wrapper": True} | compilers.flags(linked=True)


def linked(function):
    """Compile a building block as a part of the kernels that call it. Python cannot call the block."""
    return njit(**LINKED)(function)


def inlined(function):
    """Compile a building block that LLVM pastes into its callers, so that loops over it become vector code.

    Numba's own inlining would infer the types again for every call. With LLVM's inlining, compilation takes half as
    long (measured).
    """
    return njit(forceinline=True, **LINKED)(function)


def entry(function):
    """Compile a function that Python calls, and keep the machine code on disk."""
    return _run_here(_kept(function))


def _run_here(dispatcher):
    """The kernel as Python calls it. A kernel for another CPU is only compiled for its arguments, and returns 0."""
    if not levels.building:
        return dispatcher

    def compile_only(*args):
        dispatcher.compile(tuple(map(dispatcher.typeof_pyval, args)))
        return 0

    return compile_only


def intrinsic(twin, *, prefer_literal=False):
    """Numba's decorator for LLVM code. twin: the Python function that replaces this code if nothing is compiled."""
    if interpreted.ENABLED:
        return lambda function: twin
    return numba.extending.intrinsic(prefer_literal=prefer_literal)


def emit_check(builder, holds, message, *values):
    """LLVM code that stops the process with a message unless `holds` is true.

    message: a format of printf for `values`, which are 64-bit integers.
    """
    # The check raises no exception, because other threads may wait for the thread that raises it. Py_FatalError is no
    # way out: if two threads call it, the second one aborts while the first one still writes its message. One call of
    # write() writes the whole message. After abort(), faulthandler shows the caller if it is enabled.
    i32, void = ir.IntType(32), ir.VoidType()
    with builder.if_then(builder.not_(holds), likely=False):
        text = builder.bitcast(
            cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(8), MESSAGE_BYTES)), cgutils.voidptr_t
        )
        length = cgutils.snprintf(builder, text, cgutils.intp_t(MESSAGE_BYTES), f"fastbp: {message}\n", *values)
        name, size = ("_write", i32) if target.WINDOWS else ("write", cgutils.intp_t)
        write = cgutils.get_or_insert_function(builder.module, ir.FunctionType(size, [i32, text.type, size]), name)
        builder.call(write, [i32(2), text, length if size is i32 else builder.sext(length, size)])
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(void, []), "abort"), [])


class Deferred:
    """A kernel that is compiled when a caller first asks for its address.

    Parameters
    ----------
    function : callable
        A function that returns nothing.
    kinds : tuple
        The kinds of the function's parameters, see kinds.py.
    allocates : bool
        Whether `function` may call a function that allocates arrays, such as the user's. No kernel of ours does.
    """

    def __init__(self, function, kinds, *, allocates=False):
        self._dispatcher = _kept(function, no_cpython_wrapper=True, _nrt=allocates)
        self._kinds = kinds
        self._addresses: dict[np.dtype, int] = {}
        if _is_ours(function):
            DEFERRED.append(self)

    def address(self, dtype: np.dtype) -> int:
        """The address that `call` needs to run the kernel for this dtype."""
        found = self._addresses.get(dtype)
        if found is None:
            vector = types.Array(numba.from_dtype(dtype), 1, "C")
            arguments = types_of(self._kinds, vector)
            found = self._addresses[dtype] = (
                interpreted.address(self._dispatcher, arguments) if interpreted.ENABLED else self._compiled(arguments)
            )
        return found

    def _compiled(self, arguments):
        self._dispatcher.compile(arguments)
        code = self._dispatcher.overloads[arguments]
        return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


def deferred(*kinds, **options):
    """Compile a building block on its own, when a caller first asks for its address; arguments as for `Deferred`."""
    return lambda function: Deferred(function, kinds, **options)


@intrinsic(interpreted.call)
def call(typingctx, address, arguments):
    """Call the deferred kernel at an address. arguments: a tuple of exactly the types that the kernel declares."""
    kinds = tuple(types.unliteral(kind) for kind in arguments)

    def codegen(context, builder, sig, args):
        if CHECKED:
            known = builder.icmp_signed("!=", args[0], args[0].type(0))
            emit_check(builder, known, "call of a kernel that was not asked for")
        values = cgutils.unpack_tuple(builder, args[1], len(kinds))
        function = context.call_conv.get_function_type(types.none, kinds)
        pointer = builder.inttoptr(args[0], function.as_pointer())
        status, _ = context.call_conv.call_function(builder, pointer, types.none, kinds, values)
        with cgutils.if_unlikely(builder, status.is_error):  # an IndexError of Numba's bounds checks
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.intp, arguments), codegen


@intrinsic(interpreted.runtime)
def runtime(typingctx, value):
    """`value`, typed as a variable. For every literal argument, Numba would compile the called kernel again."""
    kind = types.unliteral(value)
    return kind(kind), lambda context, builder, sig, args: args[0]
