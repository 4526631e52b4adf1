"""What marlpipe uses of Hydra's private modules: the one place to look at when Hydra is upgraded.

The sweeper that `hydra_plugins/marlpipe.py` extends is the only other one: that file imports Hydra alone.
"""

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _locate as locate
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

__all__ = ["ComposingOnce", "application", "config_loader", "locate", "split_sweep"]


class ComposingOnce(ConfigLoaderImpl):
    """Hydra's loader of configs, which composes each list of overrides once and then hands out copies.

    A composition takes a tenth of a second or more, and a run's config is asked for by the planner and the launcher.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        super().__init__(loader.get_search_path())
        self._composed: dict[tuple[object, ...], DictConfig] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_composed": {}}  # the process of a run composes nothing

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        """As Hydra's."""
        key = (config_name, run_mode, *overrides)
        if key not in self._composed:
            self._composed[key] = super().load_configuration(config_name, overrides, run_mode, *args, **kwargs)
        return copy.deepcopy(self._composed[key])


def application() -> Hydra:
    """What is set up inside `compose_api`."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra


def config_loader() -> ConfigLoader | None:
    """Of what is set up; None outside of `compose_api`."""
    instance = GlobalHydra.instance()
    return instance.config_loader() if instance.is_initialized() else None


def split_sweep(typed: Sequence[Override]) -> list[list[str]]:
    """Every combination of swept values, each a list of overrides."""
    [combinations] = BasicSweeper.split_arguments(list(typed), max_batch_size=None)
    return [list(combination) for combination in combinations]
