"""The script benchmarks/busy.py, with one round instead of some."""

import re
import subprocess
import sys

from support.documents import ROOT, block


def test_the_script_prints_a_row_per_job_with_the_multiples_of_one_thread():
    (command,) = block("busy-command", "sh").splitlines()
    python, script, *options = command.split()
    assert (python, script) == ("python", "benchmarks/busy.py")
    done = subprocess.run(
        [sys.executable, script, *options, "--rounds", "1"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = re.findall(
        r"^(\S.*?) +one thread +([\d.]+) \(1\.00\)  all, always +([\d.]+) \((\S+)\)  with trials", done.stdout, re.M
    )
    assert len(rows) == 5
    for _, alone, always, multiple in rows:
        assert abs(float(always) / float(alone) - float(multiple)) < 0.01 * float(multiple) + 0.01
