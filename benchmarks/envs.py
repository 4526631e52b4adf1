"""`python -m benchmarks.envs`: env steps per second of worlds alone, with random actions, beside other libraries."""

import os
import sys
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.machine import record
from benchmarks.options import parsed
from benchmarks.timing import Times, interleaved
from benchmarks.workloads import Work
from marlpipe.build import build_env
from marlpipe.configuration import config_folder
from marlpipe.exploration import epsilon_greedy
from marlpipe.grid import composed, composing
from marlpipe.memory import keep_freed_memory

COPIES = (1, 32, 1024)
FILE_WIDTH = 150  # columns where the output goes into a file or a pipe
STEPS = 25  # vector steps of one repetition
WORLDS = {
    "cart-pole, 15 carts": ["env=cartpole", "env.n_agents=15"],
    "navigation, 15 agents": ["env=navigation"],
    "predator-prey, 8 against 8": ["env=predator_prey"],
    "matrix game": ["env=payoff", "env.horizon=1000"],
    "linear bandit": ["env=linear_bandit"],
    "VMAS simple_spread, 3 agents": ["env=vmas", "env.scenario=simple_spread"],
    "mpe2 simple_spread, 3 agents": ["env=simple_spread", "env.workers=0"],
}
FEW_COPIES = {"mpe2 simple_spread, 3 agents"}  # one Python object per copy
PUBLISHED = {  # by others' code, on a machine with these two cores, 2026-11-21: at 1 copy unless said
    "cart-pole, 15 carts": "LOMAQ's code 913",
    "predator-prey, 8 against 8": "WQMIX's code 127–232",
    "VMAS simple_spread, 3 agents": "VMAS itself 130–250, 3 900–7 600, 135 000–150 000",
    "mpe2 simple_spread, 3 agents": "JaxMARL's 34 700, 122 000, 164 000",
}


def main() -> None:
    """Times every world, prints a table and writes one JSON file."""
    asked = parsed("envs", __doc__)
    keep_freed_memory()
    torch.set_num_threads(asked.threads)
    load = os.getloadavg()[0]
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    timed = {
        f"{name}, {copies}": stepping(overrides, copies)
        for name, overrides in WORLDS.items()
        for copies in COPIES
        if copies <= 32 or name not in FEW_COPIES
    }
    times = interleaved(timed, track(range(asked.rounds), "timing", console=console, transient=True))
    console.print(f"random available actions, with observations, state and masks; {asked.threads} threads")
    console.print(table(times))
    file = record(asked.out, "envs", figures(times), threads=asked.threads, load_before=load)
    console.print(str(file), style="dim", highlight=False)


def stepping(overrides: list[str], copies: int) -> Work:
    """25 vector steps after a reset, with what an agent would see before each."""
    with composing(config_folder()):
        env = build_env(composed(overrides, config_folder()))
    generator = torch.Generator().manual_seed(0)
    utilities = torch.zeros(copies, env.spec.n_agents, env.spec.n_actions)

    def steps() -> None:
        world = env.reset(copies, generator)
        for _ in range(STEPS):
            actions = epsilon_greedy(utilities, env.observe(world).avail_actions, 1.0, generator)
            world, _ = env.step(world, actions, generator)

    return steps


def table(times: dict[str, Times]) -> Table:
    """Env steps per second: the median, and the best in brackets."""
    made = Table(title="env steps/s, worlds alone", title_justify="left", box=SIMPLE_HEAD)
    made.add_column("")
    for copies in COPIES:
        made.add_column(f"{copies} {'copy' if copies == 1 else 'copies'}", justify="right")
    made.add_column("measured of others, env steps/s")
    for name in WORLDS:
        cells = [rate(times[key], copies) if (key := f"{name}, {copies}") in times else "" for copies in COPIES]
        made.add_row(name, *cells, PUBLISHED.get(name, ""))
    return made


def rate(measured: Times, copies: int) -> str:
    steps = copies * STEPS
    return f"{steps / measured.median:,.0f} ({steps / measured.least:,.0f})"


def figures(times: dict[str, Times]) -> dict[str, Any]:
    """Every repetition, so that another look at it needs no other run."""
    return {"steps": STEPS, "copies": COPIES, "seconds": {name: of_name.seconds for name, of_name in times.items()}}


if __name__ == "__main__":
    main()
