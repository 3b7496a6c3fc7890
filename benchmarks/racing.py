"""Timing several functions alternately, so that whatever slows the machine for a while slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")

# OpenBLAS's threads keep spinning for some 100 ms after their last product, on cores that the next fit needs: without a
# pause, alternating fits of two libraries measure how they disturb each other (digits: fastbp 2.5 times as slow). After
# the one library that uses it with all threads, it runs with one, which needs no other core.
SETTLE_SECONDS = 0.05


def race(
    benchmark: BenchmarkFixture,
    runners: Mapping[str, Callable[[], T]],
    *,
    rounds: int,
    prepare: Callable[[str], None] = lambda name: None,
) -> dict[str, list[T]]:
    """Time each runner once a round: A B C A B C ...; all of them have been warmed up.

    pytest-benchmark knows one function per test: it times the first runner, and the others run in its set-up. The times
    of all of them, in seconds, go into its JSON as ``extra_info["seconds"]``.

    prepare: is called with a runner's name before it runs, outside the timing.

    Returns what each runner returned, round by round.
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
