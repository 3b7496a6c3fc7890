"""A faster variant of Numba's compiler, made with Numba's private names: a first fit takes 5.2 s instead of 9.4 s.

The names are checked once, when this module is imported. If this Numba lacks one of them, `njit` alone compiles the
kernels. That is slower, and the results have the same bits.
"""

import functools
import gc

from .private import missing

# PRIVATE lists the private names that this file uses, by module of Numba.
PRIVATE = {
    "numba._dynfunc": ("make_function",),
    "numba.core.codegen": (
        "JITCodeLibrary._optimize_final_module",
        "JITCodeLibrary._finalize_final_module",
        "JITCodeLibrary._finalize_dynamic_globals",
    ),
    "numba.core.compiler": ("Compiler.define_pipelines", "Compiler.compile_extra"),
    "numba.core.compiler_machinery": ("PassManager.finalize",),
}

# IDLE_PASSES are passes of Numba that find nothing to do in a kernel, because a kernel has no closures and no
# expressions of whole arrays. These passes would take 0.26 s of a first fit's 5.5 s (measured).
IDLE_PASSES = ("InlineClosureLikes", "InlineInlinables", "InlineOverloads", "NopythonRewrites")


def flags(*, linked):
    """Options of `njit` that choose the compiler. linked: whether the code only becomes a part of other kernels."""
    if MISSING:
        return {}
    compiler, linking_compiler = _compilers()
    return {"pipeline_class": linking_compiler if linked else compiler}


@functools.cache
def _compilers():
    from numba import _dynfunc
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler
    from numba.core.compiler_machinery import PassManager

    class LinkedLibrary(JITCodeLibrary):
        """Code that is only linked into other kernels. LLVM optimises and assembles those kernels, not this library."""

        def _optimize_final_module(self):
            pass

        def _finalize_final_module(self):
            self._finalize_dynamic_globals()
            self._finalized = True  # otherwise each use of this library would link all that it needs again

    class KernelCompiler(Compiler):
        """Numba's compiler with the garbage collector off, and without IDLE_PASSES.

        The garbage collector would take 0.5 s of a first fit's 5.7 s (measured), and free little, because most objects
        are still in use.
        """

        def define_pipelines(self):
            (pipeline,) = super().define_pipelines()
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

    class LinkedCompiler(KernelCompiler):
        """Numba's compiler up to LLVM's intermediate code, for a `LinkedLibrary`."""

        def __init__(self, typingctx, targetctx, library, args, return_type, flags, locals):
            flags.no_compile = True
            library = LinkedLibrary(targetctx.codegen(), "linked")
            super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

        def compile_extra(self, func):
            result = super().compile_extra(func)
            described = result.fndesc
            # Numba identifies a compiled function by the object that Python would call. Python cannot call this
            # function, so an object without code takes that place.
            name = _dynfunc.make_function(
                described.lookup_module(), described.qualname, "", 0, result.environment, (result.library,)
            )
            result.target_context.insert_user_function(name, described, [result.library])
            return result._replace(entry_point=name)

    return KernelCompiler, LinkedCompiler


MISSING = missing(PRIVATE)
