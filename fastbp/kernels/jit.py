"""The only place that compiles: the decorators, the flags they set, and which kernels are kept on disk."""

import os
from typing import Any

import numba
from numba import _dynfunc, njit, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic

from .cache import KernelCache

# FASTBP_DEBUG=1 compiles checks of shapes and bounds into the kernels. Read once: compiled code cannot change its mind.
CHECKED = os.environ.get("FASTBP_DEBUG", "0") not in ("", "0")
VARIANT = f"checked={CHECKED}"

# No fastmath: `reassoc` and `contract` let two callers of one function round differently, and the promise is the same
# bits everywhere; `nnan` makes the checks for NaN vanish. The NumPy error model keeps division branch-free.
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False}

ENTRIES: list[Any] = []  # the kernels that are kept on disk


def _cached(dispatcher):
    # The cache's folder knows the sources of this package only.
    if dispatcher.__module__.startswith(f"{__package__}.") and not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(dispatcher.__name__, VARIANT)
        ENTRIES.append(dispatcher)
    return dispatcher


class _LinkedLibrary(JITCodeLibrary):
    """Code that is only ever linked into an entry: there LLVM optimises and assembles it, and not here as well."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()


class _LinkedCompiler(Compiler):
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


LINKED = FLAGS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _LinkedCompiler}


def kernel(function):
    """Compile a building block, to be linked into the entries that call it; Python cannot call it."""
    return njit(**LINKED)(function)


def inlined(function):
    """Compile a building block that LLVM has to paste into its callers, so that loops over it become vector code.

    Numba's own inlining would infer its types once more for every call: half of the time to compile, measured.
    """
    return njit(forceinline=True, **LINKED)(function)


def entry(function):
    """Compile a function that Python calls, serial, and keep the machine code on disk."""
    return _cached(njit(**FLAGS)(function))


def parallel_entry(function):
    """Compile a function that Python calls and whose `prange` loops run on Numba's threads.

    It must never be called by another kernel (a cached caller can crash when loaded), and it must be a function of its
    own: the serial and the parallel version of *one* function would share a cache entry.
    """
    return _cached(njit(parallel=True, **FLAGS)(function))


@intrinsic
def runtime(typingctx, value):
    """`value` as an ordinary variable: Numba compiles a callee once more for every literal that it is given."""
    kind = types.unliteral(value)
    return kind(kind), lambda context, builder, sig, args: args[0]
