"""The script benchmarks/growth.py, as its document shows it."""

import re
import subprocess
import sys

import pytest

from support.documents import ROOT


def test_the_script_of_the_readme_predicts_and_measures_steps_on_one_worker_and_two():
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "growth.py"),
        "--quick",
        "--latency",
        "0.5",
        "--bandwidth",
        "1.25",
        "--task",
        "0.5",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    check = re.findall(
        r"^\| 64-\(32\)-10 \| (adam|gd) \| [\d,]+ \| ([12]) \| (\S+) \| (\S+) \| (\S+) \|$", printed, re.M
    )
    assert [(solver, n) for solver, n, *_ in check] == [("adam", "1"), ("adam", "2")] * 2 + [("gd", "1"), ("gd", "2")]
    for *_, predicted, measured, ratio in check:
        predicted, measured, ratio = (float(number.replace(",", "")) for number in (predicted, measured, ratio))
        assert predicted > 0 < measured
        assert ratio == pytest.approx(predicted / measured, abs=0.02)  # the printed numbers are rounded
