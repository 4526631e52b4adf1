"""From the overrides of `marlpipe bandit` to the settings that are played."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from marlpipe.config.compose import check_option, check_path, compose_api, resolved
from marlpipe.config.folder import groups
from marlpipe.config.heavy_imports import heavy_imports
from marlpipe.config.keys import check_node, check_parts, located
from marlpipe.config.kinds import check_value
from marlpipe.config.naming import arm_hash, defining_config, grid_hash
from marlpipe.config.schema import SEED, Part
from marlpipe.config.typed import parse_overrides
from marlpipe.errors import Bound, UserError

ROOT = "bandit"  # conf/bandit.yaml
BANDIT = {
    "env": Part,
    "partition": Part,
    "paths": {"runs": str},
    "seed": SEED,
    "rounds": Annotated[int, Bound(1, 10**6)],
    "exploration_factor": Annotated[float, Bound(0, integer=False)],
    "ridge": Annotated[float, Bound(0, integer=False, exclusive_low=True)],
    "delta": Annotated[float, Bound(0, 1, integer=False, exclusive_low=True)],
    "block_noise": Literal["independent", "sum"],
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Arm:
    """One line of the table: a config, and the seeds that are played with it."""

    label: str
    config: DictConfig
    seeds: tuple[int, ...]

    @property
    def folder(self) -> Path:
        """Where its records lie: HASH stands for every setting, and for the seeds."""
        parts = [Path(arm_hash(self.config), f"seed={seed}") for seed in self.seeds]
        name = f"{self.config.hydra.runtime.choices.partition}-{grid_hash(parts)}"
        return Path(self.config.paths.runs) / ROOT / name


def asked(arguments: Sequence[str], folder: Path) -> list[Arm]:
    """All that a command line asks for, in its order. UserError for what does not exist or cannot be."""
    typed = parse_overrides(arguments)
    swept = {override.key_or_group for override in typed if override.is_sweep_override()}
    for override in typed:
        listed = not isinstance(override.value(), Glob | IntervalSweep)
        if override.is_sweep_override() and not (listed and list(override.sweep_string_iterator())):
            raise UserError(
                f"'{override.input_line}' has no list of values.\n"
                f"  valid: A,B,… or choice(A, B, …) or range(LOW, HIGH, STEP)\n  next: {override.key_or_group}=0,1,2"
            )
    [combinations] = BasicSweeper.split_arguments(typed, max_batch_size=None)
    seeds_of: dict[tuple[str, ...], list[str]] = {}
    for combination in combinations:
        seeds = [override for override in combination if override.startswith("seed=")]
        seeds_of.setdefault(tuple(o for o in combination if o not in seeds), []).extend(seeds)
    with compose_api(folder):
        return [_arm(overrides, seeds, swept, folder) for overrides, seeds in seeds_of.items()]


def _arm(overrides: tuple[str, ...], seeds: list[str], swept: set[str], folder: Path) -> Arm:
    """Composed with its first seed only: the others differ in nothing else."""
    config = composed([*overrides, *seeds[:1]], folder)
    check_arm(config)
    values: list[Any] = [override.value() for override in parse_overrides(seeds)] or [config.seed]
    for value in values:
        check_value("seed", value, SEED)
    varied = [override for override in parse_overrides(overrides) if override.key_or_group in swept - {"partition"}]
    label = " ".join([config.hydra.runtime.choices.partition, *(str(override.input_line) for override in varied)])
    return Arm(label=label, config=config, seeds=tuple(dict.fromkeys(values)))


def composed(overrides: Sequence[str], folder: Path) -> DictConfig:
    """One config. UserError with what is valid where a group, an option or a key does not exist."""
    typed, options = parse_overrides(overrides), groups(folder)
    choices = [override for override in typed if override.key_or_group in ("env", "partition", "paths")]
    for override in typed:
        _check_changes(override)
        if override in choices:
            check_option(override, options)
    try:
        config = compose(ROOT, list(overrides), return_hydra_config=True)
        defining_config(config)  # reads every value, so that one that refers to nothing is found here
    except (HydraException, OmegaConfBaseException) as error:
        known = compose(ROOT, [str(choice.input_line) for choice in choices], return_hydra_config=True)
        for override in typed:
            if override not in choices:
                check_path(known, override.key_or_group)
        raise UserError(f"{str(error).splitlines()[0]}\n  see --help for the keys") from error
    return config


def _check_changes(override: Override) -> None:
    """UserError for an override that adds a key or removes one: all that there are have a meaning."""
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise UserError(
            f"'{override.input_line}' adds or removes a key, of which there is no need.\n"
            "  valid: key=value, as --help lists them"
        )


def check_arm(config: DictConfig) -> None:
    """UserError for another world than a linear bandit, and for the first value that cannot be."""
    with heavy_imports():
        from marlpipe.envs.linear_bandit import LinearBandit

    world = located(config.env._target_, "env")
    if not (isinstance(world, type) and issubclass(world, LinearBandit)):
        raise UserError(
            f"env={config.hydra.runtime.choices.env} is no linear bandit, which is all that Multi-OFUL plays.\n"
            "  valid: env=linear_bandit\n  next: leave env=… out"
        )
    plain = resolved(config)
    check_node(plain, BANDIT, "")
    check_parts(plain, "")
