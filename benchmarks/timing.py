"""Timing on machines that are never quiet."""

import time
from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple

from benchmarks.workloads import Work


class Times(NamedTuple):
    """Seconds of each repetition of one workload."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    def ratio(self, other: "Times") -> float:
        """How many times as long as another workload: the median over repetitions that ran side by side."""
        return median(ours / theirs for ours, theirs in zip(self.seconds, other.seconds, strict=True))


def interleaved(works: Mapping[str, Work], rounds: Iterable[int]) -> dict[str, Times]:
    """Every workload once per round, after one that is not counted, so that all see the same moods of the machine."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in rounds:
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: Times(times) for name, times in seconds.items()}
