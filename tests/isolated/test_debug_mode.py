"""In the debug mode each mistake stops the process and is named. Without it there is no code for a check."""

import os
import signal
import subprocess
import sys

import pytest

from support.mistakes import MISTAKES
from support.programs import FOLDER


def run(program, debug):
    """A finished process that ran `program` after an import of the mistakes."""
    return subprocess.run(
        [sys.executable, "-c", f"from support import mistakes\n{program}"],
        env=os.environ | {"FASTBP_DEBUG": debug, "NUMBA_BOUNDSCHECK": "0"},
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_in_the_debug_mode_a_mistake_stops_the_process_and_is_named(mistake):
    done = run(f"mistakes.make(mistakes.{mistake.__name__})", debug="1")
    assert done.returncode == -signal.SIGABRT, done.stderr
    assert set(done.stderr.splitlines()) == {f"fastbp: {MISTAKES[mistake]}"}


def test_without_the_debug_mode_nothing_is_checked_and_no_code_is_there_for_it():
    done = run("mistakes.make_all()", debug="0")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0
