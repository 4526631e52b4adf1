"""What a section of the benchmark declares: its measurements, and what each is held beside."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

Work = Callable[[], object]
Unit = Literal["s", "B"]


@dataclass(frozen=True)
class Measurement:
    """One line of a table.

    once: one repetition; returns what it cost, in `unit`, and the less the better.
    beside: heading -> the measurement of the same section that this one is divided by: floors, plain references.
        `make bench-check` compares the first of these ratios, which is to be to something that marlpipe cannot slow.
    amount: how much one repetition does of what the section counts. Costs are compared per amount.
    unit: seconds or bytes.
    remark: others' figures.
    """

    once: Callable[[], float]
    beside: Mapping[str, str] = field(default_factory=dict)
    amount: float = 1.0
    unit: Unit = "s"
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """Measurements of which each round takes one repetition, so that all see the same moods of the machine.

    counted: what the measurements' amounts are, as in "env steps"; None where they have none.
    rounds: counted repetitions, unless the command line says how many.
    warm_up: one more round before, which is not counted.
    """

    title: str
    measurements: Mapping[str, Measurement]
    rounds: int
    counted: str | None = None
    warm_up: bool = True


def seconds(work: Work) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(prepare: Callable[[], Work]) -> Callable[[], float]:
    """Seconds of the work that `prepare` makes when it is first needed, which is not timed."""
    prepared = cache(prepare)

    def once() -> float:
        return seconds(prepared())

    return once
