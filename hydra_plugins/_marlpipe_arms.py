"""The configs of a grid's jobs, without composing each of them."""

import copy
from collections.abc import Sequence

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict


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
        typed = self._parser.parse_overrides(list(overrides))
        seeds = [override for override in typed if sets_seed(override)]
        arm = tuple(override for override, read in zip(overrides, typed, strict=True) if read not in seeds)
        if arm not in self._composed:
            self._composed[arm] = self._loader.load_sweep_config(self._config, list(overrides))
        config = copy.deepcopy(self._composed[arm])
        with open_dict(config.hydra):
            tell_job(config, [override for override in typed if not override.is_hydra_override()])
            config.hydra.job.id, config.hydra.job.num = str(number), number
        for seed in seeds:
            OmegaConf.update(config, "seed", seed.value())
        return config


def sets_seed(override: Override) -> bool:
    return override.key_or_group == "seed" and override.type is OverrideType.CHANGE


def tell_job(config: DictConfig, overrides: Sequence[Override]) -> None:
    """What a config says of the overrides that it was made with."""
    job, rules = config.hydra.job, config.hydra.job.config.override_dirname
    config.hydra.overrides.task = [override.input_line for override in overrides]
    job.override_dirname = get_overrides_dirname(
        list(overrides), exclude_keys=rules.exclude_keys, item_sep=rules.item_sep, kv_sep=rules.kv_sep
    )
