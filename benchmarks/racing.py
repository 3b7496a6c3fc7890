"""Time several functions in turns, so that a slow spell of the machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")

# A pause of SETTLE_SECONDS comes before each run. OpenBLAS's threads keep spinning for some 100 ms after their last
# product, on cores that the next fit needs. Without a pause, alternating fits of two libraries disturb each other
# (digits: fastbp 2.5 times as slow). Half of the 100 ms is enough, because a fit of scikit-learn with all threads is
# followed by one with a single thread, and that needs no other core.
SETTLE_SECONDS = 0.05


def race(
    benchmark: BenchmarkFixture,
    runners: Mapping[str, Callable[[], T]],
    *,
    rounds: int,
    prepare: Callable[[str], None] = lambda name: None,
) -> dict[str, list[T]]:
    """Time each runner once per round: A B C A B C ... The caller has warmed them up.

    pytest-benchmark times one function per test. This is the first runner, and the others run in its set-up. The times
    of all runners, in seconds, go into its JSON as ``extra_info["seconds"]``.

    prepare: is called with a runner's name before it runs, outside the timing.

    Returns the results of each runner, round by round.
    """
    first, *others = runners
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    results: dict[str, list[T]] = {name: [] for name in runners}

    def settle(name: str) -> None:
        prepare(name)
        time.sleep(SETTLE_SECONDS)

    def run_others() -> None:
        for name in others:
            settle(name)
            start = time.perf_counter()
            result = runners[name]()
            seconds[name].append(time.perf_counter() - start)
            results[name].append(result)
        settle(first)

    def run_first() -> None:
        results[first].append(runners[first]())

    benchmark.pedantic(run_first, setup=run_others, rounds=rounds)
    if benchmark.stats is not None:  # None under --benchmark-disable
        seconds[first] = list(benchmark.stats.stats.data)
    benchmark.extra_info["seconds"] = seconds
    return results
