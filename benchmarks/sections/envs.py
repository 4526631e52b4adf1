"""Worlds alone, with random actions, next to figures of other libraries."""

from functools import partial

import torch

from benchmarks.measurement import Measurement, Section, Work, timed
from benchmarks.tasks import configured
from marlpipe.config.build import build_env
from marlpipe.models.exploration import epsilon_greedy

COPIES = (1, 32, 1024)
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
REFERENCE = "additions"  # 100 of tensors of 256 numbers per copy, for each vector step
PUBLISHED = {  # of other libraries, on a machine with these two cores, 2026-11-21
    ("cart-pole, 15 carts", 1): "LOMAQ's code 913",
    ("predator-prey, 8 against 8", 1): "WQMIX's code 127–232",
    ("VMAS simple_spread, 3 agents", 1): "VMAS itself 130–250",
    ("VMAS simple_spread, 3 agents", 32): "VMAS itself 3 900–7 600",
    ("VMAS simple_spread, 3 agents", 1024): "VMAS itself 135 000–150 000",
    ("mpe2 simple_spread, 3 agents", 1): "JaxMARL's 34 700",
    ("mpe2 simple_spread, 3 agents", 32): "JaxMARL's 122 000",
}


def section() -> Section:
    """Env steps per second, observations included."""
    measurements = {
        f"{world}, {copies} at a time": Measurement(
            timed(partial(stepping, overrides, copies)),
            {REFERENCE: f"{REFERENCE}, {copies} at a time"},
            amount=copies * STEPS,
            remark=PUBLISHED.get((world, copies), ""),
        )
        for world, overrides in WORLDS.items()
        for copies in COPIES
        if copies <= 32 or world not in FEW_COPIES
    }
    for copies in COPIES:
        measurements[f"{REFERENCE}, {copies} at a time"] = Measurement(
            timed(partial(additions, copies)), amount=copies * STEPS
        )
    title = "worlds alone: random available actions, with observations, state and masks"
    return Section(title, measurements, rounds=7, counted="env steps")


def stepping(overrides: list[str], copies: int) -> Work:
    """25 vector steps after a reset, with the observations before each."""
    env = build_env(configured(*overrides))
    generator = torch.Generator().manual_seed(0)
    utilities = torch.zeros(copies, env.spec.n_agents, env.spec.n_actions)

    def steps() -> None:
        world = env.reset(copies, generator)
        for _ in range(STEPS):
            actions = epsilon_greedy(utilities, env.observe(world).avail_actions, 1.0, generator)
            world, _ = env.step(world, actions, generator)

    return steps


def additions(copies: int) -> Work:
    """As many small tensor operations as a world has."""
    numbers = torch.zeros(copies, 256)

    def steps() -> None:
        for _ in range(100 * STEPS):
            _ = numbers + numbers

    return steps
