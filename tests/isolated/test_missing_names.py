"""A Numba that lacks a private name compiles the kernels all the same, to the same bits."""

import pytest

from support.programs import run

DIGEST = """
import json
from fastbp.kernels.compiling import cache, compilers
from support import programs
print(json.dumps([compilers.MISSING + cache.MISSING, programs.digest(n_jobs=1)]))
"""


# Numba itself needs these names only while it is imported.
@pytest.mark.parametrize(("module", "name"), [("codegen", "JITCodeLibrary"), ("compiler", "CompileResult._reduce")])
def test_kernels_compiled_without_a_private_name_of_numbas_have_the_same_bits(module, name, warm_cache, tmp_path):
    program = f"import numba.core.{module}\ndel numba.core.{module}.{name}\n{DIGEST}"
    missing, found = run(program, tmp_path)
    assert missing[0].startswith(f"numba.core.{module}.{name}")
    assert run(DIGEST, warm_cache) == [[], found]
