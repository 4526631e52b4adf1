"""Which folder a run lives in: named after its world, algorithm and config, so that a repeated command finds it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PARTS = ("agent", "partition", "monotonicity", "mixer", "reward", "projection", "loss", "replay", "exploration")
# what a run's results do not depend on
INCIDENTAL = {"hydra", "seed", "paths", "logger", "threads", "compile", "deterministic", "checkpoint_minutes"}
INCIDENTAL_KEYS = {("env", "workers"), ("evaluation", "films")}


def defining_config(config: DictConfig) -> dict[str, Any]:
    """The part of the config that determines the results, but for the seed."""
    parts = {str(key): config[key] for key in config if str(key) not in INCIDENTAL}
    plain: dict[str, Any] = {
        key: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for key, part in parts.items()
    }
    for group, key in INCIDENTAL_KEYS:
        plain.get(group, {}).pop(key, None)
    return plain


def arm_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits that all seeds of one arm share."""
    told = json.dumps(defining_config(config), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def run_subfolder(config: DictConfig) -> str:
    """ENV/ALGO-HASH/seed=SEED."""
    choices = config.hydra.runtime.choices
    return f"{choices.env}/{choices.algo}-{arm_hash(config)}/seed={config.seed}"


def run_folder(config: DictConfig) -> Path:
    """Where the run's records lie."""
    return Path(config.paths.runs) / run_subfolder(config)


def grid_hash(folders: Sequence[Path]) -> str:
    """Eight hexadecimal digits that name a set of runs."""
    return hashlib.sha256("\n".join(sorted(map(str, folders))).encode()).hexdigest()[:8]


def arm_label(hydra: Any) -> str:
    """The algorithm, and the parts that the user exchanged in it: `lomaq partition=pairs`."""
    typed = [str(override).lstrip("+") for override in hydra.overrides.task]
    return " ".join([hydra.runtime.choices.algo, *(override for override in typed if override.startswith(PARTS))])


def register_resolvers() -> None:
    """Makes `${run_folder:}` and `${run_subfolder:}` known to the config."""
    OmegaConf.register_new_resolver("run_subfolder", lambda *, _root_: run_subfolder(_root_), replace=True)
    OmegaConf.register_new_resolver("run_folder", lambda *, _root_: str(run_folder(_root_)), replace=True)
