"""Random edits of attributes, model files and sparse matrices, in processes of their own: errors, and no crash."""

import pytest

from support.programs import run

# PROGRAM prints how many cases ended how. A crash ends the process by a signal, and `run` reports it.
PROGRAM = """
import contextlib, json, os
from support import fuzz
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    counts = fuzz.{function}({arguments})
print(json.dumps(counts))
"""
N = 100


@pytest.mark.parametrize("function", ["attributes", "files", "stored_estimators", "sparse_structures"])
def test_an_edit_gives_an_error_and_no_crash(warm_cache, tmp_path, function):
    if function in ("files", "stored_estimators"):
        pytest.importorskip("skops.io")
        pytest.importorskip("pandas")
    arguments = f"0, {N}" + (f", {str(tmp_path)!r}" if function == "files" else "")
    counts = run(PROGRAM.format(function=function, arguments=arguments), warm_cache)
    assert sum(counts.values()) == N
    assert counts["ValueError"] > N // 4  # many edits are found
    assert counts["worked"] > 0  # and some are harmless
