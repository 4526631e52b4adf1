"""The configs of a grid's jobs, without composing each of them."""

import copy
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from marlpipe.launch.application import job_folder


class Arms:
    """Composes what Hydra's loader would: once for all jobs that differ in their `seed` only, by copies of the first.

    Args:
        context: Hydra's, with its loader.
        config: that of the sweep.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self._loader, self._config = context.config_loader, config
        self._parser = OverridesParser.create(context.config_loader)
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def config(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The config of one job, which knows its number."""
        composed, typed = self._arm(overrides)
        config = copy.deepcopy(composed)
        tell_job(config, typed, number)
        return config

    def folder(self, overrides: Sequence[str], number: int) -> Path:
        """Where Hydra will put a job, without a copy of its config, which takes longer than all else."""
        config, typed = self._arm(overrides)
        before = OmegaConf.select(config, "seed")
        tell_job(config, typed, number)
        folder = job_folder(config)
        OmegaConf.set_readonly(config.hydra, None)  # what it was before Hydra looked at it
        OmegaConf.update(config, "seed", before)
        return folder

    def _arm(self, overrides: Sequence[str]) -> tuple[DictConfig, list[Override]]:
        """The config of a job with the same overrides but for the seed, and the overrides, read."""
        typed = self._parser.parse_overrides(list(overrides))
        arm = tuple(text for text, override in zip(overrides, typed, strict=True) if not sets_seed(override))
        if arm not in self._composed:
            self._composed[arm] = self._loader.load_sweep_config(self._config, list(overrides))
        return self._composed[arm], typed


def sets_seed(override: Override) -> bool:
    return override.key_or_group == "seed" and override.type is OverrideType.CHANGE


def tell_job(config: DictConfig, overrides: Sequence[Override], number: int) -> None:
    """Makes a config that of a job: its seed, its number, and what it says of the overrides that it was made with."""
    job, rules = config.hydra.job, config.hydra.job.config.override_dirname
    task = [override for override in overrides if not override.is_hydra_override()]
    with open_dict(config.hydra):
        config.hydra.overrides.task = [override.input_line for override in task]
        job.override_dirname = get_overrides_dirname(
            task, exclude_keys=rules.exclude_keys, item_sep=rules.item_sep, kv_sep=rules.kv_sep
        )
        job.id, job.num = str(number), number
    for override in filter(sets_seed, overrides):
        OmegaConf.update(config, "seed", override.value())
