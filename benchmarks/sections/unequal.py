"""One update from episodes of different lengths: padding should cost nothing."""

from functools import partial

import torch

from benchmarks.floors import matrix_products
from benchmarks.measurement import Measurement, Section, Work, timed
from benchmarks.sections.gradient_steps import training_step, update
from benchmarks.tasks import AGENTS, EPISODES, STEPS, built, episodes, on_carts
from marlpipe.types import EpisodeBatch

ALGORITHMS = ("qmix", "lomaq")
SHORTEST = 30  # env steps
FLOOR, FLOOR_UNEQUAL = "matrix products", "matrix products, unequal"


def lengths() -> torch.Tensor:
    """Env steps of each episode, always the same."""
    return torch.randint(SHORTEST, STEPS + 1, (EPISODES,), generator=torch.Generator().manual_seed(0))


def section() -> Section:
    """Seconds of a training step."""
    measurements = {}
    for algo in ALGORITHMS:
        whole = timed(partial(update, algo, agents=AGENTS, steps=STEPS, batch=EPISODES))
        measurements[f"{algo}, full"] = Measurement(whole, {FLOOR: FLOOR})
        beside = {FLOOR: FLOOR_UNEQUAL, "full episodes": f"{algo}, full"}
        measurements[f"{algo}, unequal"] = Measurement(timed(partial(update_unequal, algo)), beside)
    counts = [AGENTS * int((lengths() > time_step).sum()) for time_step in range(int(lengths().max()))]
    measurements[FLOOR] = Measurement(timed(partial(matrix_products, [AGENTS * EPISODES] * STEPS)))
    measurements[FLOOR_UNEQUAL] = Measurement(timed(partial(matrix_products, counts)), {"full episodes": FLOOR})
    share = float(lengths().sum()) / (EPISODES * STEPS)
    title = f"one update, full episodes and unequal ones of {SHORTEST} to {STEPS} env steps, {share:.0%} of all steps"
    return Section(title, measurements, rounds=5)


def update_unequal(algo: str) -> Work:
    """One training step on episodes that end early."""
    config = on_carts(algo)
    algorithm = built(config)
    return training_step(config, algorithm, cut(episodes(config, algorithm, EPISODES), lengths()))


def cut(batch: EpisodeBatch, ends: torch.Tensor) -> EpisodeBatch:
    """Full episodes that terminate earlier, padded with zeros up to the longest, as the replay pads them."""
    time_step = torch.arange(batch.valid.shape[1])
    valid, last = time_step < ends[:, None], time_step == ends[:, None] - 1
    shorter = batch._replace(valid=valid, terminated=last).first(len(ends))
    padded = (
        field * mask.view(*mask.shape, *[1] * (field.dim() - 2))
        for field, mask in zip(shorter, [shorter.filled] * 3 + [shorter.valid] * 4, strict=True)
    )
    return EpisodeBatch(*padded)
