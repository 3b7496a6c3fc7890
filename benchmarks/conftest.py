from __future__ import annotations

import os
import platform
from typing import Any

import llvmlite.binding
import numba
import numpy as np
import pytest
from libraries import MISSING, MODULES, PEERS

import fastbp


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="few rows and one round: the results are checked, the times mean little"
    )


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("quick"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MISSING:
        terminalreporter.write_line(f"Not installed and left out: {', '.join(MISSING)}")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add the machine and the versions that the report prints."""
    del machine_info["node"]
    machine_info |= {
        "host_cpu": llvmlite.binding.get_host_cpu_name(),
        "threads": int(numba.get_num_threads()),
        "cores": os.cpu_count(),
        "missing": list(MISSING),
        "versions": {
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "Numba": numba.__version__,
            "fastbp": fastbp.__version__,
            **{peer: __import__(MODULES[peer]).__version__ for peer in PEERS},
        },
    }
