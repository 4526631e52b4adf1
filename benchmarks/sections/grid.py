"""Two runs on two cores: one after the other with two threads, or both at once with one."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.floors import matrix_products
from benchmarks.measurement import Measurement, Section, seconds, timed
from benchmarks.sections.processes import finished, training
from benchmarks.tasks import AGENTS, EPISODES, STEPS, carts

RUNS = 2
LENGTH, TIME_LIMIT = 3000, 50  # env steps of each run and of an episode: about 40 updates
FLOOR, ONE_AFTER_THE_OTHER, AT_ONCE = "matrix products", "1 process × 2 threads", "2 processes × 1 thread"


def section() -> Section:
    """Seconds from the command to its end, whatever the threads of the other sections."""
    beside = {FLOOR: FLOOR}
    at_once = Measurement(partial(grid, processes=RUNS, threads=1), {**beside, "the other": ONE_AFTER_THE_OTHER})
    return Section(
        f"a grid of {RUNS} runs: qmix, {AGENTS} carts, {LENGTH} env steps each, profile=quick",
        {
            ONE_AFTER_THE_OTHER: Measurement(partial(grid, processes=1, threads=RUNS), beside),
            AT_ONCE: at_once,
            FLOOR: Measurement(timed(partial(matrix_products, [AGENTS * EPISODES] * STEPS))),
        },
        rounds=3,
        warm_up=False,
    )


def grid(processes: int, threads: int) -> float:
    """The whole command, reports included."""
    with TemporaryDirectory() as folder:
        shared = [f"hydra.launcher.processes={processes}", f"hydra.launcher.threads={threads}"]
        seeds = f"seed={','.join(str(seed) for seed in range(RUNS))}"
        runs = ["algo=qmix", *carts(steps=TIME_LIMIT), seeds, f"env_steps={LENGTH}"]
        command = training(Path(folder), "-m", *runs, *shared)
        return seconds(lambda: finished(command))
