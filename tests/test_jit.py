"""The disk cache: used, and never stale."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import fastbp

# Reports the activation softplus(0) of a network of one unit, and whether its kernel came from the disk.
PROGRAM = """
from fastbp import textbook
from fastbp.kernels import backprop
a = textbook.forward([[0.0]], [[[1.0]]], None, out_activation="softplus")
stats = backprop.predict_serial.stats
print(float(a[-1][0, 0]), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """(a copy of the package that may be edited, its cache folder, what its first process found)."""
    folder = tmp_path_factory.mktemp("copy")
    source = pathlib.Path(fastbp.__file__).parent
    shutil.copytree(source, folder / "fastbp", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "fastbp", folder / "cache", run(folder / "fastbp", folder / "cache")


def run(package, cache):
    """(softplus(0), cache hits, cache misses) of a new process that imports `package`."""
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        cwd=package.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, hits, misses = done.stdout.split()
    return float(value), int(hits), int(misses)


def test_the_second_process_takes_its_kernels_from_the_disk(copy):
    package, cache, (value, hits, misses) = copy
    assert (hits, misses) == (0, 1)
    assert value == pytest.approx(0.6931471805599453, rel=1e-15)
    assert run(package, cache) == (value, 1, 0)


def test_a_broken_cache_file_is_compiled_again(copy):
    package, cache, (value, *_) = copy
    files = [file for file in cache.rglob("*predict_serial*") if file.suffix in (".nbi", ".nbc")]
    assert {file.suffix for file in files} == {".nbi", ".nbc"}
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert run(package, cache) == (value, 0, 1)
    assert run(package, cache) == (value, 1, 0)


def test_editing_a_function_that_a_cached_kernel_calls_changes_the_next_result(copy):
    package, cache, (value, *_) = copy
    callee = package / "kernels" / "elementary.py"
    text, body = callee.read_text(), "+ log1p(exp(-abs(x)))"
    assert text.count(body) == 1
    callee.write_text(text.replace(body, "+ constant(3, x) * log1p(exp(-abs(x)))"))
    try:
        changed, hits, misses = run(package, cache)
    finally:
        callee.write_text(text)
    assert (hits, misses) == (0, 1)
    assert changed == pytest.approx(3 * value, rel=1e-15)
