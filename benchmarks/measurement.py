"""A section of the benchmark and its measurements: declared, then repeated in rounds in a process of its own."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.results import Outcome, Series, Unit
from marlpipe.training.allocator import keep_freed_memory

Work = Callable[[], object]


@dataclass(frozen=True)
class Measurement:
    """One line of a table.

    once: runs one repetition and returns its cost in `unit`; lower is better.
    beside: heading -> the measurement of the same section that divides this one: floors, plain references.
        `make bench-check` compares the first of these ratios; its reference must not depend on marlpipe's speed.
    amount: units of `Section.counted` in one repetition. Costs are compared per amount.
    unit: seconds or bytes.
    remark: published figures of other libraries.
    """

    once: Callable[[], float]
    beside: Mapping[str, str] = field(default_factory=dict)
    amount: float = 1.0
    unit: Unit = "s"
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """Measurements; each round takes one repetition of each, so that all share the machine's fluctuations.

    counted: unit of the measurements' amounts, as in "env steps"; None where they have none.
    rounds: counted repetitions, unless the command line sets the number.
    warm_up: one more round before, which is not counted.
    """

    title: str
    measurements: Mapping[str, Measurement]
    rounds: int
    counted: str | None = None
    warm_up: bool = True


def seconds(work: Work) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(prepare: Callable[[], Work]) -> Callable[[], float]:
    """Times the work that `prepare` returns. `prepare` is called once, at the first repetition, and not timed."""
    prepared = cache(prepare)

    def once() -> float:
        return seconds(prepared())

    return once


Declared = Callable[[], Section]


def outcomes(sections: Mapping[str, Declared], threads: int, rounds: int | None) -> Iterator[tuple[str, Outcome]]:
    """One section after the other, each in a fresh process with its own memory, threads and caches."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for number, (name, declared) in enumerate(sections.items(), start=1):
            heading = f"{number}/{len(sections)} {name}"
            yield name, processes.submit(in_this_process, declared, heading, threads, rounds).result()


def in_this_process(declared: Declared, heading: str, threads: int, rounds: int | None) -> Outcome:
    """Measures a section with `threads` threads of torch, and shows its progress."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    section = declared()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(heading)
        counted = section.rounds if rounds is None else rounds
        progress.update(task, total=(counted + section.warm_up) * len(section.measurements))

        def after_each(name: str) -> None:
            progress.update(task, advance=1, description=f"{heading}: {name}")

        return measured(section, counted, after_each)


def measured(section: Section, rounds: int, after_each: Callable[[str], None] = lambda _: None) -> Outcome:
    """Takes every measurement once per round."""
    costs: dict[str, list[float]] = {name: [] for name in section.measurements}
    for number in range(rounds + section.warm_up):
        for name, measurement in section.measurements.items():
            cost = measurement.once()
            if number >= section.warm_up:
                costs[name].append(cost)
            after_each(name)
    series = {
        name: Series(costs[name], dict(declared.beside), declared.amount, declared.unit, declared.remark)
        for name, declared in section.measurements.items()
    }
    return Outcome(section.title, section.counted, series)
