"""Acting: ε-greedy episodes side by side, world and network."""

from functools import partial

import torch

from benchmarks.floors import acting_products
from benchmarks.measurement import Measurement, Section, Work, timed
from benchmarks.tasks import AGENTS, EPSILON, STEPS, on_carts
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.training.rollout import rollout

PARALLEL = (1, 8, 32)
ALONE = "1 episode at a time"  # the plain reference: one env after the other
FLOOR = "matrix products"
FLOOR_TIMES = 10  # a floor of milliseconds is timed that many times over


def section() -> Section:
    """Env steps per second of all episodes together."""
    measurements = {}
    for n in PARALLEL:
        name = ALONE if n == 1 else f"{n} episodes at a time"
        beside = {FLOOR: f"{FLOOR}, {n}"} | ({} if n == 1 else {"one at a time": ALONE})
        measurements[name] = Measurement(timed(partial(acting, n)), beside, amount=n * STEPS)
    for n in PARALLEL:
        measurements[f"{FLOOR}, {n}"] = Measurement(timed(partial(floor, n)), amount=FLOOR_TIMES * n * STEPS)
    return Section(
        f"acting: qmix's recurrent agent, {AGENTS} carts, episodes of {STEPS} env steps",
        measurements,
        rounds=7,
        counted="env steps",
    )


def acting(n: int) -> Work:
    """`n` episodes."""
    config = on_carts("qmix")
    env = build_env(config)
    agent = build_algorithm(config, env).agent
    generator = torch.Generator().manual_seed(0)
    return lambda: rollout(env, agent, n, EPSILON, generator)


def floor(n: int) -> Work:
    """The network's products for the same episodes, ten times."""
    spec = build_env(on_carts("qmix")).spec
    return acting_products(n * AGENTS, spec.obs_dim, spec.n_actions, FLOOR_TIMES * STEPS)
