"""Whole training through the real pipeline: acting, replay, updates, Lightning, records."""

import io
import math
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from benchmarks.floors import matrix_products
from benchmarks.measurement import Measurement, Section, timed
from benchmarks.tasks import AGENTS, EPISODES, STEPS, carts, configured
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import Row
from marlpipe.training.session import train

ALGORITHMS = ("qmix", "lomaq")
FLOOR = "matrix products"
COUNTED = 1000  # env steps to which costs are scaled

UPDATES = 10  # that are timed; the episodes of the first batch come before them
FULL = [*carts(), f"env_steps={(EPISODES + UPDATES) * STEPS}"]
UNEQUAL = ["env=cartpole", f"env.n_agents={AGENTS}", "env_steps=4500"]

# the size of JaxMARL's task: 3 agents, episodes of 26 env steps, an update of 32 episodes every 8
SMALL_AGENTS, SMALL_STEPS, SMALL_BATCH, SMALL_PARALLEL = 3, 26, 32, 8
SMALL = [f"profile.batch_episodes={SMALL_BATCH}", f"profile.parallel_episodes={SMALL_PARALLEL}", "env_steps=30000"]
SMALL_WORLDS = {
    "carts": carts(SMALL_AGENTS, SMALL_STEPS),
    "particles": ["env=navigation", f"env.columns={SMALL_AGENTS}", f"env.time_limit={SMALL_STEPS}"],
}


def section() -> Section:
    """Env steps per second from the first update on, without start-up, the first batch's episodes and evaluations."""
    measurements = {}
    for algo in ALGORITHMS:
        for episodes, overrides in (("full", FULL), ("unequal", UNEQUAL)):
            run = partial(trained, [f"algo={algo}", *overrides])
            measurements[f"{algo}, {episodes} episodes"] = Measurement(run, {FLOOR: FLOOR}, amount=COUNTED)
    for world, overrides in SMALL_WORLDS.items():
        measurements[f"qmix, JaxMARL's size, {world}"] = Measurement(
            partial(trained, ["algo=qmix", *SMALL, *overrides]),
            {FLOOR: f"{FLOOR}, JaxMARL's size"},
            amount=COUNTED,
            remark="JaxMARL itself 7 442",
        )
    large = timed(partial(matrix_products, [AGENTS * EPISODES] * STEPS))
    small = timed(partial(matrix_products, [SMALL_AGENTS * SMALL_BATCH] * SMALL_STEPS))
    measurements[FLOOR] = Measurement(large, amount=STEPS)
    measurements[f"{FLOOR}, JaxMARL's size"] = Measurement(small, amount=SMALL_PARALLEL * SMALL_STEPS)
    title = "whole training: 15 carts, an update per episode; and JaxMARL's size, an update per 208 env steps"
    return Section(title, measurements, rounds=3, counted="env steps", warm_up=False)


def trained(overrides: Sequence[str]) -> float:
    """Seconds that a run takes for 1000 env steps."""
    return COUNTED * seconds_per_env_step(rows_of("profile=lomaq", *overrides, "evaluation.every_env_steps=1000000"))


def rows_of(*overrides: str) -> list[Row]:
    """The metrics of a run that is trained here and now."""
    with TemporaryDirectory() as folder:
        fixed = [f"threads={torch.get_num_threads()}", "trainer=cpu", "logger=none", "evaluation.films=0"]
        config = configured(*overrides, *fixed)
        with open_dict(config):
            config.hydra.runtime.output_dir = folder
        HydraConfig.instance().set_config(config)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            train(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
        return RunFolder(Path(folder)).read_metrics()


def seconds_per_env_step(rows: Sequence[dict[str, float]]) -> float:
    """From the first evaluation, which follows the first update, to the last row of training, before the last one."""
    start = next(row for row in rows if not math.isnan(row.get("eval/return_mean", math.nan)))
    end = next(row for row in reversed(rows) if "rollout/return" in row)
    return (end["wall_s"] - start["wall_s"]) / (end["env_steps"] - start["env_steps"])
