"""The script benchmarks/busy.py, with one round instead of some."""

import re

from support.documents import printed_by


def test_the_script_prints_a_row_per_job_with_the_multiples_of_one_thread():
    printed = printed_by("busy-command", "benchmarks/busy.py", "--rounds", "1")
    rows = re.findall(
        r"^(\S.*?) +one thread +([\d.]+) \(1\.00\)  all, always +([\d.]+) \((\S+)\)  with trials", printed, re.M
    )
    assert len(rows) == 5
    for _, alone, always, multiple in rows:
        assert abs(float(always) / float(alone) - float(multiple)) < 0.01 * float(multiple) + 0.01
