"""Repetitions in rounds, on machines that are never quiet; each section in a process of its own."""

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.measurement import Section
from benchmarks.results import Outcome, Series
from marlpipe.training.allocator import keep_freed_memory

Declared = Callable[[], Section]


def outcomes(sections: Mapping[str, Declared], threads: int, rounds: int | None) -> Iterator[tuple[str, Outcome]]:
    """One section after the other; none sees the memory, the threads or the caches that another left."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for number, (name, declared) in enumerate(sections.items(), start=1):
            heading = f"{number}/{len(sections)} {name}"
            yield name, processes.submit(in_this_process, declared, heading, threads, rounds).result()


def in_this_process(declared: Declared, heading: str, threads: int, rounds: int | None) -> Outcome:
    """Takes a section's repetitions with so many threads of torch, and shows how far it is."""
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
    """Every measurement once per round."""
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
