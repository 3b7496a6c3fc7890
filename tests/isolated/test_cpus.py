"""Models are the same on CPUs with other vectors, emulated by compiling for them, and on one thread."""

import platform

import llvmlite.binding
import numpy as np
import pytest

from support.models_of_cpus import SOLVERS
from support.programs import run

# {name: (settings of Numba, (bytes of a vector, rows of a tile))}. None means those of this machine.
CPUS = {
    "native": ({}, None),
    "AVX2": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}, (32, 4)),
    "SSE2": ({"NUMBA_CPU_NAME": "generic"}, (16, 4)),
}
TOLERANCE = 1e-12  # relative to the largest number
over_solvers = pytest.mark.parametrize("solver", SOLVERS)


@pytest.fixture(scope="module")
def results(tmp_path_factory, warm_cache):
    """{CPU that runs `use_all`: {CPU of the fit: results}}."""
    if platform.machine() not in ("x86_64", "AMD64") or not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("needs a CPU with AVX2, to run with and without it")
    folders = {cpu: str(tmp_path_factory.mktemp(cpu)) for cpu in CPUS}

    def on(cpu, call):
        """The result of a call on this CPU. JSON keeps every bit of a float64."""
        program = f"import json; from support import models_of_cpus as here; print(json.dumps(here.{call}))"
        return run(program, warm_cache, **CPUS[cpu][0])

    for cpu, (_, tile) in CPUS.items():
        found = tuple(on(cpu, f"fit_all({folders[cpu]!r})"))
        assert tile in (None, found)
    return {cpu: {origin: on(cpu, f"use_all({folders[origin]!r})") for origin in CPUS} for cpu in CPUS}


def assert_equal_to_rounding(found, expected):
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        scale = np.abs(numbers).max()
        np.testing.assert_allclose(found[name], numbers, rtol=0, atol=TOLERANCE * scale, err_msg=name)


@over_solvers
@pytest.mark.parametrize("cpu", sorted(CPUS.keys() - {"native"}))
def test_fits_agree_between_cpus(results, cpu, solver):
    assert_equal_to_rounding(results[cpu][cpu][solver], results["native"]["native"][solver])


@over_solvers
@pytest.mark.parametrize("origin", CPUS)
@pytest.mark.parametrize("cpu", CPUS)
def test_a_pickle_of_one_cpu_predicts_and_learns_on_under_another(results, cpu, origin, solver):
    found, expected = results[cpu][origin][solver], results[origin][origin][solver]
    assert found["weights"] == expected["weights"]
    assert_equal_to_rounding(found, expected)


THREADS = """
import json
from support import programs
calls = programs.Calls()
print(json.dumps([programs.digest(), calls.parallel]))
"""


def test_one_numba_thread_gives_the_bits_of_four(warm_cache):
    (alone, n_alone), (together, n_together) = (run(THREADS, warm_cache, NUMBA_NUM_THREADS=n) for n in "14")
    assert n_alone == 0 < n_together
    assert alone == together
