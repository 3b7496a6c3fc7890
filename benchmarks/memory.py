"""Print how far a fit and then a prediction raise the memory of a warmed-up process at their peak, in MiB.

python benchmarks/memory.py LIBRARY ROWS
"""

from __future__ import annotations

import ctypes
import json
import pathlib
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from libraries import FASTBP, SKLEARN, TORCH, Contender, estimator, fit
from workloads import Data, Workload, data

WORKLOAD = Workload(500_000, 50, (256, 128), 10, 1024, epochs=1)
WARM_UP_ROWS = 20_000  # enough for all threads to work
LIBRARIES = (FASTBP, SKLEARN, TORCH)  # without JAX, because it compiles anew for every size


def memory(field: str) -> float:
    """A field of this process's status, in MiB: VmRSS is the memory now, VmHWM the most so far."""
    found = re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) / 1024


def peak(function: Callable[[], Any]) -> tuple[float, Any]:
    """(how far a call raises the memory at its peak, the result of the call)."""
    ctypes.CDLL(None).malloc_trim(0)  # returns freed memory to the system, because reusing it would not raise VmHWM
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # lowers VmHWM to VmRSS
    before = memory("VmRSS")
    result = function()
    return memory("VmHWM") - before, result


def fit_and_predict(contender: Contender, workload: Workload, examples: Data) -> dict[str, float]:
    """The peak of the fit and the peak of the prediction."""
    X, y = examples
    if contender.package == TORCH:
        train = contender.peer.trainer(workload, X, y)
        fit_peak, parameters = peak(lambda: train(1))
        probabilities = contender.peer.predictor(parameters)
        predict_peak, _ = peak(lambda: probabilities(X).argmax(axis=1))
    else:
        model = estimator(contender, workload, epochs=1)
        fit_peak, _ = peak(lambda: fit(model, X, y))
        predict_peak, _ = peak(lambda: model.predict(X))
    return {"fit": fit_peak, "predict": predict_peak}


def main() -> None:
    contender, workload = Contender(sys.argv[1], "all"), replace(WORKLOAD, rows=int(sys.argv[2]))
    X, y = data(workload, "float32")[0]
    fit_and_predict(contender, workload, Data(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS]))
    print(json.dumps(fit_and_predict(contender, workload, Data(X, y))))


if __name__ == "__main__":
    main()
