"""Algorithms built from the project's configs, as runs build them."""

import copy
from functools import cache
from typing import Any

import torch
from hydra import compose as hydra_compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig
from torch import Tensor

from marlpipe.config.build import build_algorithm, build_part
from marlpipe.config.compose import compose_api, group_of
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import register_resolvers
from marlpipe.config.typed import parse_overrides
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics, RunProgress, TrainingBatch
from tests.support.synthetic import RaggedWorld

GROUPS = groups(config_folder())


class World(RaggedWorld):
    """An environment of which only the spec is used."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec


@cache
def compose(*overrides: str) -> DictConfig:
    """As Hydra composes them, at a fraction of the time: what groups select is composed once, and values are then set
    by the function with which Hydra sets them.
    """
    typed = parse_overrides(overrides)
    values = [one for one in typed if not (one.is_add() or one.is_delete() or group_of(one) in GROUPS)]
    config = copy.deepcopy(selected(*(str(one.input_line) for one in typed if one not in values)))
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    config.hydra.overrides.task = list(overrides)
    return config


@cache
def selected(*overrides: str) -> DictConfig:
    register_resolvers()
    with compose_api(config_folder()):
        return hydra_compose("train", list(overrides), return_hydra_config=True)


def build(*overrides: str, spec: EnvSpec, seed: int = 0) -> Any:
    """The algorithm that a command line asks for, in double precision."""
    torch.manual_seed(seed)
    return build_algorithm(compose(*overrides), World(spec)).double()


def loss_of(algorithm: Any, batch: EpisodeBatch, seed: int = 0) -> tuple[Tensor, Metrics]:
    """The loss on these episodes with the algorithm's own reward."""
    loss: tuple[Tensor, Metrics] = algorithm.loss(batch, algorithm.reward(batch), draws(seed))
    return loss


def draws(seed: int = 0) -> torch.Generator:
    """A seeded source of random draws."""
    return torch.Generator().manual_seed(seed)


class GradientSteps:
    """An algorithm's gradient steps with the optimisers and clipping of its config, as the learner makes them."""

    def __init__(self, algorithm: Any, config: DictConfig) -> None:
        profile = config.profile
        default = build_part(profile, "optimizer")
        self.algorithm, self.trained = algorithm, algorithm.trained()
        self.optimizers = {name: (owned.optimizer or default)(owned.parameters) for name, owned in self.trained.items()}
        self.clip, self.generator = profile.gradient_clip, draws()

    def __call__(self, batch: EpisodeBatch, epsilon: float = 1.0) -> Metrics:
        """All updates of one training step, and their metrics."""
        metrics: Metrics = {}
        progress = RunProgress(int(batch.valid.sum()), len(batch.valid), epsilon, 0.0, 0.0, 0, False)
        for update in self.algorithm.updates(TrainingBatch(batch, progress), self.generator):
            owned, optimizer = self.trained[update.of], self.optimizers[update.of]
            optimizer.zero_grad()
            torch.autograd.backward(update.loss)
            clip = self.clip if owned.gradient_clip is None else owned.gradient_clip
            torch.nn.utils.clip_grad_norm_(owned.parameters, clip or torch.inf)
            optimizer.step()
            self.algorithm.after_step()
            metrics |= update.metrics
        return metrics
