"""The configs of a grid's jobs, composed once for all jobs that differ in their seed only."""

import copy
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict


class JobConfigs:
    """Hands out what Hydra's loader would compose.

    Args:
        context: Hydra's, with its loader.
        config: that of the sweep.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self._loader, self._config = context.config_loader, config
        self._parser = OverridesParser.create(context.config_loader)
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def config(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The config of one job, with the job's number."""
        typed = self._parser.parse_overrides(list(overrides))
        arm = tuple(text for text, override in zip(overrides, typed, strict=True) if not sets_seed(override))
        if arm not in self._composed:
            self._composed[arm] = self._loader.load_sweep_config(self._config, list(overrides))
        config = copy.deepcopy(self._composed[arm])
        set_job_fields(config, typed, number)
        return config


def sets_seed(override: Override) -> bool:
    return override.key_or_group == "seed" and override.type is OverrideType.CHANGE


def set_job_fields(config: DictConfig, overrides: Sequence[Override], number: int) -> None:
    """Makes a config that of a job: its seed, its number, and the overrides that it was made with."""
    job, rules = config.hydra.job, config.hydra.job.config.override_dirname
    task = [override for override in overrides if not override.is_hydra_override()]
    named = sorted(str(override.input_line) for override in task if override.key_or_group not in rules.exclude_keys)
    with open_dict(config.hydra):
        config.hydra.overrides.task = [override.input_line for override in task]
        job.override_dirname = rules.item_sep.join(named).replace("=", rules.kv_sep)
        job.id, job.num = str(number), number
    for override in filter(sets_seed, overrides):
        OmegaConf.update(config, "seed", override.value())
