"""All sections, measured into one file."""

import os
from argparse import Namespace

from rich.console import Console

from benchmarks.measurement import outcomes
from benchmarks.results import Outcome, Results, described, new_file
from benchmarks.sections import (
    acting,
    checkpoint,
    envs,
    grid,
    memory,
    mixers,
    scaling,
    startup,
    time_to_return,
    training,
    unequal,
    updates,
)
from benchmarks.tables import of_section

SECTIONS = {
    "acting": acting.section,
    "updates": updates.section,
    "unequal": unequal.section,
    "scaling": scaling.section,
    "mixers": mixers.section,
    "envs": envs.section,
    "training": training.section,
    "time_to_return": time_to_return.section,
    "startup": startup.section,
    "memory": memory.section,
    "checkpoint": checkpoint.section,
    "grid": grid.section,
}


def measure(asked: Namespace, console: Console) -> Results:
    """Prints each section's table and rewrites the file after each, so that an interruption costs one section."""
    machine, file = {**described(), "load_before": os.getloadavg()[0]}, new_file(asked.out, asked.threads)
    wanted = {name: declared for name, declared in SECTIONS.items() if not asked.only or name in asked.only}
    measured: dict[str, Outcome] = {}
    results = Results(asked.threads, machine, measured)
    for name, outcome in outcomes(wanted, asked.threads, asked.rounds):
        measured[name] = outcome
        results.write(file)
        console.print(of_section(outcome))
    console.print(f"{asked.threads} threads of torch; every repetition is in {file}", style="dim", highlight=False)
    return results
