"""The task that most sections share: LOMAQ's Figure 5, with episodes that all reach the limit.

15 carts, 200 env steps, 50 episodes in a batch, 64 units, LOMAQ's hyperparameters.
"""

import torch
from omegaconf import DictConfig

from marlpipe.algos.algorithm import Algorithm
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.training.replay import Replay
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch

AGENTS, STEPS, EPISODES, UNITS = 15, 200, 50, 64
REPLAY = 5000  # episodes
EPSILON = 0.05

# untrained rewards are accepted, so that the values' gradient step is timed too
ACCEPTING = {"lomaq_rd": ["reward.tolerance_per_agent=1000.0"]}


def configured(*overrides: str) -> DictConfig:
    """The config of a command line."""
    with compose_api(config_folder()):
        return compose_run(overrides, config_folder())


def carts(agents: int = AGENTS, steps: int = STEPS) -> list[str]:
    """The overrides of a world whose episodes all last `steps` env steps."""
    return ["env=cartpole", f"env.n_agents={agents}", f"env.time_limit={steps}", "env.termination=endless"]


def on_carts(algo: str, *, agents: int = AGENTS, steps: int = STEPS) -> DictConfig:
    """An algorithm under LOMAQ's hyperparameters."""
    return configured(f"algo={algo}", "profile=lomaq", *carts(agents, steps), *ACCEPTING.get(algo, []))


def built(config: DictConfig) -> Algorithm:
    """The algorithm in its own world."""
    return build_algorithm(config, build_env(config))


def episodes(config: DictConfig, algorithm: Algorithm, n: int) -> EpisodeBatch:
    """`n` episodes of an untrained agent, always the same ones."""
    return rollout(build_env(config), algorithm.agent, n, EPSILON, torch.Generator().manual_seed(0))


def empty_replay() -> Replay:
    """A replay for 5000 episodes of 15 carts."""
    return Replay(spec=build_env(on_carts("qmix")).spec, capacity=REPLAY, device=torch.device("cpu"))


def full_replay() -> Replay:
    """The same with every page touched."""
    config, replay = on_carts("qmix"), empty_replay()
    batch = episodes(config, built(config), EPISODES)
    for _ in range(REPLAY // EPISODES):
        replay.add(batch)
    return replay
