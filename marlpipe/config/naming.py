"""The name of a run: a hash of what its config says, so that a repeated command finds the run's folder."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from marlpipe.config.kinds import check_value
from marlpipe.config.schema import SEED
from marlpipe.runs.path import RunPath

PARTS = ("agent", "partition", "monotonicity", "mixer", "reward", "projection", "loss", "replay", "exploration")
# what a run's results do not depend on
NOT_HASHED = {"hydra", "seed", "paths", "logger", "threads", "compile", "deterministic", "checkpoint_minutes"}
NOT_HASHED_KEYS = {
    ("env", "workers"),
    ("evaluation", "films"),
    ("profile", "scaled_start"),  # the mixer's key, which is hashed, refers to it
}
# settings that came later, with the value of all runs before them: it renames no run
NEUTRAL = {("profile", "learning_rate_end"): 1.0, ("profile", "sequence_steps"): None}
LOOKUPS = {f"hydra.utils.get_{kind}" for kind in ("method", "object", "class", "static_method")}  # of their key `path`


def defining_config(config: DictConfig) -> dict[str, Any]:
    """The part of the config that determines the results, but for the seed."""
    parts = {str(key): config[key] for key in config if str(key) not in NOT_HASHED}
    values: dict[str, Any] = {
        key: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for key, part in parts.items()
    }
    for group, key in NOT_HASHED_KEYS:
        values.get(group, {}).pop(key, None)
    for (group, key), neutral in NEUTRAL.items():
        if values.get(group, {}).get(key, neutral) == neutral:
            values.get(group, {}).pop(key, None)
    return values


def without_modules(node: Any) -> Any:
    """A config, in which classes and functions go by their own names, without the modules that they are found in.

    What is the same without modules is the same config: a class that moves renames no run. A class of the same name
    elsewhere is found out where it matters: by the planner within a grid, by `check_same_run` in a run's folder.
    """
    if isinstance(node, list):
        return [without_modules(part) for part in node]
    if not isinstance(node, dict):
        return node
    named = {"_target_", "path"} if str(node.get("_target_")) in LOOKUPS else {"_target_"}
    return {
        key: part.rpartition(".")[2] if key in named and isinstance(part, str) else without_modules(part)
        for key, part in node.items()
    }


def arm_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits that all seeds of one arm share."""
    text = json.dumps(without_modules(defining_config(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_path(config: DictConfig) -> RunPath:
    """Where the run of a composed config lies. UserError for a seed out of its bound."""
    check_value("seed", config.seed, SEED)
    chosen = config.hydra.runtime.choices
    root = Path(config.paths.runs)
    return RunPath(root=root, env=chosen.env, algo=chosen.algo, arm=arm_hash(config), seed=config.seed)


def grid_hash(folders: Sequence[Path]) -> str:
    """Eight hexadecimal digits that name a set of runs."""
    return hashlib.sha256("\n".join(sorted(map(str, folders))).encode()).hexdigest()[:8]


def overrides_of(hydra: Any, kind: Literal["task", "hydra"]) -> list[str]:
    """What Hydra's own config says was typed, as it was typed: a `${…}` in it stands for nothing there."""
    typed: list[str] = OmegaConf.to_container(hydra.overrides[kind], resolve=False)  # type: ignore[assignment]
    return typed


def arm_label(hydra: Any) -> str:
    """The algorithm, and the parts that the user exchanged in it: `lomaq partition=pairs`."""
    typed = [override.lstrip("+") for override in overrides_of(hydra, "task")]
    return " ".join([hydra.runtime.choices.algo, *(override for override in typed if override.startswith(PARTS))])


def register_resolvers() -> None:
    """Makes `${run_folder:}` and `${run_subfolder:}` known to the config."""
    OmegaConf.register_new_resolver("run_subfolder", lambda *, _root_: run_path(_root_).name, replace=True)
    OmegaConf.register_new_resolver("run_folder", lambda *, _root_: str(run_path(_root_).folder), replace=True)
