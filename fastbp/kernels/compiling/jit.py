"""The only place that compiles: the decorators, the flags they set, and which kernels are kept on disk.

There are four kinds of kernels. An `entry` is called from Python. A `linked` one becomes part of each entry that calls
it, an `inlined` one part of each function. A `deferred` one is compiled on its own, when a network first needs it, and
called by its address: of all activations, losses, optimisers and widths of tiles a network has a few, and its first fit
waits for those alone. Entries and deferred kernels are kept on disk.

With NUMBA_DISABLE_JIT=1 nothing is compiled and all of them run as Python: interpreted.py.
"""

import gc
import os
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import _dynfunc, njit, types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager

from . import interpreted
from .cache import KernelCache

# FASTBP_DEBUG=1 compiles checks of shapes and bounds into the kernels. Read once: compiled code cannot change its mind.
CHECKED = os.environ.get("FASTBP_DEBUG", "0") not in ("", "0")
VARIANT = f"checked={CHECKED}"

KERNELS = __package__.rpartition(".")[0]
KEPT: list[Any] = []  # the dispatchers of what is kept on disk
DEFERRED: list["Deferred"] = []

# Kinds of a deferred kernel's parameters: Numba types, or functions of the type of a vector.
INT, BOOL, FLOAT = types.intp, types.boolean, types.float64
INTS, INTS32 = types.Array(types.int64, 1, "C"), types.Array(types.int32, 1, "C")
FLOATS, FLOATS32 = types.Array(types.float64, 1, "C"), types.Array(types.float32, 1, "C")


def VECTOR(vector):
    """The kind of a flat array of the network's dtype."""
    return vector


def named(cls, *kinds):
    """The kind of a NamedTuple whose fields have these kinds."""
    return lambda vector: types.BaseTuple.from_types(_types(kinds, vector), cls)


def record(fields):
    """The dtype of a structured array whose elements kernels read as records; fields: a dtype for each name."""
    return np.dtype((np.record, np.dtype(list(fields.items()), align=True)))


def kind_of_record(dtype):
    """The kind of an element of a structured array."""
    return numba.from_dtype(dtype)


def _types(kinds, vector):
    return tuple(kind if isinstance(kind, types.Type) else kind(vector) for kind in kinds)


def _kept(function, **options):
    """Compile a function by itself, and keep the machine code on disk."""
    if interpreted.ENABLED:
        return interpreted.entry(function)
    dispatcher = njit(**FLAGS, **options)(function)
    # The cache's digest covers the sources of `fastbp.kernels` alone.
    if dispatcher.__module__.startswith(f"{KERNELS}."):
        dispatcher._cache = KernelCache(dispatcher.__name__, VARIANT)
        KEPT.append(dispatcher)
    return dispatcher


class _LinkedLibrary(JITCodeLibrary):
    """Code that is only ever linked into an entry: there LLVM optimises and assembles it, and not here as well."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()


# Passes of Numba's that find nothing in a kernel without `prange`: no closures, no expressions of whole arrays.
IDLE_PASSES = ("InlineClosureLikes", "InlineInlinables", "InlineOverloads", "NopythonRewrites")


class _Compiler(Compiler):
    """Numba's compiler, without its idle passes and garbage collection.

    It leaves much to the garbage collector that is not garbage yet: a seventh of its time.
    """

    def define_pipelines(self):
        (pipeline,) = super().define_pipelines()
        if self.state.flags.auto_parallel.enabled:
            return [pipeline]
        short = PassManager(pipeline.pipeline_name)
        short.passes += [each for each in pipeline.passes if each[0].__name__ not in IDLE_PASSES]
        short.finalize()
        return [short]

    def compile_extra(self, func):
        enabled = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(func)
        finally:
            if enabled:
                gc.enable()


class _LinkedCompiler(_Compiler):
    """Numba's compiler up to LLVM's intermediate code, for a `_LinkedLibrary`."""

    def __init__(self, typingctx, targetctx, library, args, return_type, flags, locals):
        flags.no_compile = True
        library = _LinkedLibrary(targetctx.codegen(), "linked")
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

    def compile_extra(self, func):
        result = super().compile_extra(func)
        described = result.fndesc
        # Numba knows a compiled function by the object that Python would call; here it has no code.
        name = _dynfunc.make_function(
            described.lookup_module(), described.qualname, "", 0, result.environment, (result.library,)
        )
        result.target_context.insert_user_function(name, described, [result.library])
        return result._replace(entry_point=name)


# No fastmath: `reassoc` and `contract` let two callers of one function round differently, and the promise is the same
# bits everywhere; `nnan` makes the checks for NaN vanish. The NumPy error model keeps division branch-free.
FLAGS = {
    "nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False, "pipeline_class": _Compiler,
}  # fmt: skip

LINKED = FLAGS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _LinkedCompiler}


def linked(function):
    """Compile a building block as a part of the entries that call it; Python cannot call it."""
    return njit(**LINKED)(function)


def inlined(function):
    """Compile a building block that LLVM has to paste into its callers, so that loops over it become vector code.

    Numba's own inlining would infer its types once more for every call: half of the time to compile, measured.
    """
    return njit(forceinline=True, **LINKED)(function)


def entry(function):
    """Compile a function that Python calls, serial, and keep the machine code on disk."""
    return _kept(function)


def parallel_entry(function):
    """Compile a function that Python calls and whose `prange` loops run on Numba's threads.

    It must never be called by another kernel (a cached caller can crash when loaded), and it must be a function of its
    own: the serial and the parallel version of *one* function would share a cache entry.
    """
    return _kept(function, parallel=True)


def intrinsic(twin, *, prefer_literal=False):
    """Numba's decorator for LLVM code; twin: the Python function in its place where nothing is compiled."""
    if interpreted.ENABLED:
        return lambda function: twin
    return numba.extending.intrinsic(prefer_literal=prefer_literal)


def emit_check(context, builder, holds, message, *values):
    """LLVM code that stops the process with a message, a format of printf for 64-bit `values`, unless `holds`."""
    # An exception cannot leave a thread of a parallel loop, and of two threads in Py_FatalError the second aborts while
    # the first still writes. dprintf writes at once, though only on POSIX; faulthandler then shows who called.
    i32, void = ir.IntType(32), ir.VoidType()
    with builder.if_then(builder.not_(holds), likely=False):
        text = context.insert_const_string(builder.module, f"fastbp: {message}\n")
        dprintf = ir.FunctionType(i32, [i32, text.type], var_arg=True)
        builder.call(cgutils.get_or_insert_function(builder.module, dprintf, "dprintf"), [i32(2), text, *values])
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(void, []), "abort"), [])


class Deferred:
    """A kernel that is compiled when its address is first asked for.

    Parameters
    ----------
    function : callable
        Returns nothing.
    kinds : tuple
        Kinds of its parameters: Numba types, VECTOR, or what `named` returns.
    """

    def __init__(self, function, kinds):
        self._dispatcher = _kept(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
        self._kinds = kinds
        self._addresses: dict[np.dtype, int] = {}
        DEFERRED.append(self)

    def address(self, dtype: np.dtype) -> int:
        """Where the machine code for a dtype is: what `call` needs."""
        found = self._addresses.get(dtype)
        if found is None:
            vector = types.Array(numba.from_dtype(dtype), 1, "C")
            arguments = _types(self._kinds, vector)
            found = self._addresses[dtype] = (
                interpreted.address(self._dispatcher, arguments) if interpreted.ENABLED else self._compiled(arguments)
            )
        return found

    def _compiled(self, arguments):
        self._dispatcher.compile(arguments)
        code = self._dispatcher.overloads[arguments]
        return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


def deferred(*kinds):
    """Compile a building block on its own, when its address is first asked for; kinds: those of its parameters."""
    return lambda function: Deferred(function, kinds)


@intrinsic(interpreted.call)
def call(typingctx, address, arguments):
    """Call a deferred kernel; arguments: a tuple of exactly the types that it was declared with."""
    kinds = tuple(types.unliteral(kind) for kind in arguments)

    def codegen(context, builder, sig, args):
        if CHECKED:
            known = builder.icmp_signed("!=", args[0], args[0].type(0))
            emit_check(context, builder, known, "call of a kernel that was not asked for")
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
    """`value` as an ordinary variable: Numba compiles a callee once more for every literal that it is given."""
    kind = types.unliteral(value)
    return kind(kind), lambda context, builder, sig, args: args[0]
