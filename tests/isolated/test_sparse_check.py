"""The script benchmarks/sparse_check.py, with one fit of each shape instead of some."""

import re

from support.documents import printed_by


def test_the_script_prints_a_row_per_shape_with_the_shares_of_the_check():
    printed = printed_by("sparse-command", "benchmarks/sparse_check.py", "--repeats", "1")
    rows = re.findall(
        r"^ *[\d,]+ x +[\d,]+ +[\d,]+ +([\d.]+) ms +(\d+) ms +([\d.]+) s +\d+ ms +([\d.]+)% +([\d.]+)%$",
        printed,
        re.M,
    )
    assert len(rows) == 3
    for check, epoch, fit, of_epoch, of_fit in (map(float, row) for row in rows):
        assert 0 < of_fit < of_epoch
        for milliseconds, percent in ((epoch, of_epoch), (1e3 * fit, of_fit)):  # all of them are rounded
            assert abs(check - percent / 100 * milliseconds) < 0.1 * check + 1e-4 * milliseconds + 0.01
