"""What a command line asks for, checked before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.build import build_algorithm, build_env, check_keys
from marlpipe.config_bounds import check_bound, check_bounds
from marlpipe.configuration import groups
from marlpipe.errors import UserError, unknown
from marlpipe.launching import check_launcher, check_runs_here, check_selected
from marlpipe.naming import defining_config, run_folder
from marlpipe.search.space import check_installed, divided, ends_of_space, is_search, makes_a_search


def planned_folders(overrides: Sequence[str], folder: Path, *, sweep: bool) -> list[Path]:
    """The folder of every run that a command line asks for, in its order. None of a search, which decides as it goes.

    Each arm is composed and built once, on the CPU and with its first seed, to see whether it can be. UserError for
    what does not exist, and for parts that do not go together; in a grid, with all arms that it concerns.
    """
    with composing(folder):
        if not sweep:
            config = composed(overrides, folder)
            if is_search(config):
                raise UserError("a search is many runs\n  next: put -m behind marlpipe")
            check_selected(config, folder)
            check_runs_here(config, folder)
            check_run(config)
            return [run_folder(config)]
        executing = fixed(overrides, folder)
        if is_search(executing):
            check_search(overrides, executing, folder)
        arms: dict[tuple[str, ...], list[str]] = {}
        for run in expanded(overrides, executing):
            seeds = [override for override in run if override.startswith("seed=")]
            arms.setdefault(tuple(o for o in run if o not in seeds), []).extend(seeds or [""])
        refused: dict[str, str] = {}
        planned: list[Path] = []
        for arm, seeds in arms.items():
            try:
                config = composed([*arm, *filter(None, seeds[:1])], folder)
                check_selected(config, folder)
                check_launcher(executing, config)
                check_run(config)
                values = [seed.value() for seed in parsed(list(filter(None, seeds)))] or [config.seed]
                for seed in values:
                    check_bound("seed", seed)
                planned += [run_folder(config).with_name(f"seed={seed}") for seed in values]
            except UserError as error:
                refused[" ".join(arm) or "the defaults"] = str(error)
    if refused:
        raise none_started(refused, of=len(arms))
    return [] if is_search(executing) else planned


def none_started(refused: Mapping[str, str], of: int) -> UserError:
    """The error for a grid of so many arms, with the reason for each that cannot run."""
    if len(refused) == of and len(set(refused.values())) == 1:
        return UserError(next(iter(refused.values())))
    told = "\n".join(f"- {arm}\n  {reason}" for arm, reason in refused.items())
    return UserError(
        f"nothing was started, because {len(refused)} of the grid's {of} arms cannot run:\n{told}\n"
        "A grid is every combination of what it sweeps: arms that cannot have all of it need a command of their own."
    )


@contextmanager
def composing(folder: Path) -> Iterator[None]:
    """Hydra's compose API on our config folder."""
    with initialize_config_dir(str(folder), version_base="1.3", job_name="marlpipe"):
        yield


def expanded(overrides: Sequence[str], executing: DictConfig) -> list[list[str]]:
    """The runs of a grid: every combination of swept values, an experiment's own sweep included. Of a search, those
    at the ends of its space.

    executing: the grid's own config, as `fixed` gives it.
    """
    params = executing.hydra.sweeper.params or {}
    given = {override.key_or_group for override in parsed(overrides)}
    own = [f"{key}={value}" for key, value in params.items() if str(key) not in given]
    typed = parsed([*own, *overrides])
    if is_search(executing):
        return ends_of_space(divided(typed))
    for override in filter(Override.is_interval_sweep, typed):
        raise UserError(
            f"{override.input_line}: a grid cannot try all values of an interval\n"
            "  valid: choice(A, B, …) or range(LOW, HIGH, STEP); for a search, +hparams_search=optuna"
        )
    batches = BasicSweeper.split_arguments(typed, max_batch_size=None)
    return [list(arm) for batch in batches for arm in batch]


def check_search(overrides: Sequence[str], executing: DictConfig, folder: Path) -> None:
    """UserError if what proposes is not installed, or an option that makes a search says more than what to vary: who
    trains the best trial without a search would train something else.
    """
    check_installed()
    check_keys(executing.hydra.sweeper.sampler, "hydra.sweeper.sampler")
    typed = [override for override in parsed(overrides) if not override.is_sweep_override()]
    without = composed([str(one.input_line) for one in typed if not makes_a_search(one)], folder)
    alone, searched = defining_config(without), defining_config(executing)
    if changed := [key for key in searched if searched[key] != alone.get(key)]:
        making = " ".join(str(override.input_line) for override in typed if makes_a_search(override))
        raise UserError(
            f"{making} sets {', '.join(changed)} beside hydra.sweeper\n"
            "  next: write what all runs shall have into its hydra.sweeper.params, or type it"
        )


def fixed(overrides: Sequence[str], folder: Path) -> DictConfig:
    """The config of a grid's command line without what it sweeps, from which Hydra takes launcher and sweeper."""
    typed = parsed(overrides)
    plain = [str(override.input_line) for override in typed if not override.is_sweep_override()]
    try:
        return composed(plain, folder)
    except UserError as error:
        if len(plain) == len(typed):
            raise
        raise UserError(
            f"{error}\n  for a key that only swept options have, write choice() around its value: KEY=choice(VALUE)"
        ) from error


def named(override: Override) -> str:
    """The key or group, without the package."""
    return override.key_or_group.split("@")[0]


def parsed(overrides: Sequence[str]) -> list[Override]:
    """UserError for what is not of the form key=value."""
    parser = OverridesParser.create()
    typed = []
    for override in overrides:
        try:
            typed.append(parser.parse_override(override))
        except HydraException as error:
            raise no_override(override, str(error).splitlines()[0]) from error
        if not typed[-1].key_or_group:
            raise no_override(override, "it has no key")
    return typed


def no_override(typed: str, reason: str) -> UserError:
    """The error for what cannot be read as one."""
    key, _, value = typed.partition("=")
    return UserError(
        f"'{typed}' is no override: {reason}\n"
        "  valid: key=value, group=option, or +key=value for a new key; see --help"
        + (f"\n  a value with = in it needs quotes: '{key}=\"{value}\"'" if "=" in value else "")
    )


def composed(overrides: Sequence[str], folder: Path) -> DictConfig:
    """One run's config. UserError with what is valid where a group, an option or a key does not exist."""
    options = groups(folder)
    typed = parsed(overrides)
    for override in typed:
        check_option(override, options)
    try:
        return compose("train", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        choices = [override for override in typed if named(override) in options]
        with suppress(HydraException):  # a choice is what is wrong: the first error says so
            known = compose("train", [str(choice.input_line) for choice in choices], return_hydra_config=True)
            for override in typed:
                if override not in choices and not override.is_add():
                    check_path(known, override.key_or_group)
        raise UserError(f"{error}\n  see --help for the groups, and --cfg job for the keys") from error


def check_option(override: Override, options: dict[str, list[str]]) -> None:
    """UserError for an option that its group does not have."""
    group, value = named(override), override.value()
    if group not in options or override.is_delete() or override.is_sweep_override():
        return
    for option in value if isinstance(value, list) else [value]:
        if str(option) not in options[group] and "/" not in group:
            raise unknown(f"{group}: the option", str(option), options[group])


def check_path(config: DictConfig, path: str) -> None:
    """UserError for a key that the config does not have, with those of the deepest node that exists."""
    node: Any = config
    for depth, key in enumerate(path.split(".")):
        if not OmegaConf.is_dict(node) or key not in list(node):
            above = ".".join(path.split(".")[:depth]) or "the config"
            valid = [str(name) for name in node if not str(name).startswith("_")] if OmegaConf.is_dict(node) else []
            raise unknown(f"{above}: the key", key, [name for name in valid if name != "hydra"])
        node = node._get_node(key) if OmegaConf.is_missing(node, key) else node[key]


def check_run(config: DictConfig) -> None:
    """UserError if this run could not be built."""
    check_keys(config)
    check_bounds(config)
    build_algorithm(config, build_env(config))
