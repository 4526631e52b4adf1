"""`python -m benchmarks.core`: env steps per second of acting and seconds per update, beside their floors."""

import os
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.machine import record
from benchmarks.options import parsed
from benchmarks.timing import Times, interleaved
from benchmarks.workloads import AGENTS, EPISODES, STEPS, UNITS, acting, gru_loop, matrix_products, update
from marlpipe.memory import keep_freed_memory

PARALLEL = (1, 32)  # episodes side by side
ALGORITHMS = (
    *("qmix", "lomaq", "iql", "iql_local", "vdn", "lomaq_rd", "ow_qmix", "cw_qmix", "qpro"),
    *("qtran", "qtran_alt", "qplex", "resq", "graphmix", "dop", "pac"),
)
BASELINE = "qmix"
FLOORS = ("GRUCell loop", "matrix products")


def main() -> None:
    """Times everything, prints two tables and writes one JSON file."""
    asked = parsed("core", __doc__)
    keep_freed_memory()
    torch.set_num_threads(asked.threads)
    load = os.getloadavg()[0]
    console = Console(soft_wrap=True)
    times = interleaved(
        {
            **{f"acting {n}": acting(n) for n in PARALLEL},
            **{f"update {algo}": update(algo) for algo in ALGORITHMS},
            FLOORS[0]: gru_loop(),
            FLOORS[1]: matrix_products(),
        },
        track(range(asked.rounds), "timing", console=console, transient=True),
    )
    console.print(f"n = {AGENTS}, T = {STEPS}, full episodes, {UNITS} units, {asked.threads} threads")
    console.print(acting_table(times), updates_table(times))
    file = record(asked.out, "core", figures(times), threads=asked.threads, load_before=load)
    console.print(str(file), style="dim", highlight=False)


def acting_table(times: dict[str, Times]) -> Table:
    """Env steps per second of all episodes together."""
    table = Table(title="acting, env and network", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("parallel episodes", "env steps/s, median", "best"):
        table.add_column(heading, justify="right")
    for n in PARALLEL:
        of_n = times[f"acting {n}"]
        table.add_row(str(n), f"{n * STEPS / of_n.median:,.0f}", f"{n * STEPS / of_n.least:,.0f}")
    return table


def updates_table(times: dict[str, Times]) -> Table:
    """Seconds per training step with all its gradient steps, and how many times qmix's or a floor's that is."""
    table = Table(title=f"one update, batch of {EPISODES} episodes", title_justify="left", box=SIMPLE_HEAD)
    beside = (f"update {BASELINE}", *FLOORS)
    for heading in ("", "s, median", "s, least", *(f"× {name.removeprefix('update ')}" for name in beside)):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in (*(f"update {algo}" for algo in ALGORITHMS), *FLOORS):
        ratios = [f"{times[name].ratio(times[other]):.2f}" for other in beside]
        table.add_row(name.removeprefix("update "), f"{times[name].median:.3f}", f"{times[name].least:.3f}", *ratios)
    return table


def figures(times: dict[str, Times]) -> dict[str, Any]:
    """What was measured, with every repetition, so that another look at it needs no other run."""
    return {
        "size": {"n_agents": AGENTS, "time_limit": STEPS, "batch_episodes": EPISODES, "hidden": UNITS},
        "acting_env_steps_per_s": {n: n * STEPS / times[f"acting {n}"].median for n in PARALLEL},
        "update_s": {algo: times[f"update {algo}"].median for algo in ALGORITHMS},
        "update_ratio": {
            algo: {other: times[f"update {algo}"].ratio(times[other]) for other in (f"update {BASELINE}", *FLOORS)}
            for algo in ALGORITHMS
        },
        "seconds": {name: of_name.seconds for name, of_name in times.items()},
    }


if __name__ == "__main__":
    main()
