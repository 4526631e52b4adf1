"""Algorithms built from the project's configs, as runs build them."""

from functools import cache
from typing import Any

import torch
from hydra import compose as hydra_compose
from omegaconf import DictConfig
from synthetic import RaggedWorld

from marlpipe.build import build_algorithm
from marlpipe.configuration import config_folder
from marlpipe.grid import composing
from marlpipe.naming import register_resolvers
from marlpipe.types import EnvSpec


class World(RaggedWorld):
    """A world that is only built for."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec


@cache
def compose(*overrides: str) -> DictConfig:
    register_resolvers()
    with composing(config_folder()):
        return hydra_compose("train", list(overrides), return_hydra_config=True)


def build(*overrides: str, spec: EnvSpec, seed: int = 0) -> Any:
    """The algorithm that a command line asks for, in double precision."""
    torch.manual_seed(seed)
    return build_algorithm(compose(*overrides), World(spec)).double()
