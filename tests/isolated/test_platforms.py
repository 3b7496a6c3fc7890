"""fastbp on Linux that looks like macOS and like Windows: import, fits, predictions, cache and command line."""

import os
import tempfile

import pytest

from support.programs import run

PROGRAM = """
from support import platforms
if {name!r}:
    platforms.pretend({name!r})
platforms.use({folder!r})
"""


@pytest.fixture(scope="module")
def on_linux(warm_cache, tmp_path_factory):
    return run(PROGRAM.format(name="", folder=str(tmp_path_factory.mktemp("linux"))), warm_cache)


@pytest.mark.skipif(os.uname().sysname != "Linux" if hasattr(os, "uname") else True, reason="pretends on Linux only")
@pytest.mark.parametrize("name", ["darwin", "win32"])
def test_another_system_gives_the_same_models_files_and_exit_codes_and_compiles_once(name, on_linux, tmp_path):
    # Not the cache of other tests: the machine code has other functions, but the same key.
    cache, program = tmp_path / "cache", PROGRAM.format(name=name, folder=str(tmp_path))
    first, second = run(program, cache), run(program, cache)
    assert first.pop("compiled") > 0 == second.pop("compiled")
    assert first == second
    assert first["bits"] == first["bits of one thread"] == on_linux["bits"]
    assert first["losses"] == on_linux["losses"]
    assert first["exit codes"] == [0, 0, 0]
    assert first["predictions"] == on_linux["predictions"]
    assert (tempfile.gettempdir() in map(os.path.dirname, map(os.path.dirname, first["folders"]))) == (name == "darwin")
