"""What a command line asks for, checked before anything runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from marlpipe.config.bounds import BOUNDS, check_bounds
from marlpipe.config.build import build_algorithm, build_env, check_keys
from marlpipe.config.compose import compose_api, compose_run, parse_overrides
from marlpipe.config.launcher import check_launcher, check_runs_here, check_selected
from marlpipe.config.naming import defining_config, run_folder
from marlpipe.config.search_space import check_installed, divided, ends_of_space, is_search, makes_a_search
from marlpipe.errors import UserError, check_number


def planned_folders(overrides: Sequence[str], folder: Path, *, sweep: bool) -> list[Path]:
    """The folder of every run that a command line asks for, in its order. None of a search, which decides as it goes.

    Each arm is composed and built once, on the CPU and with its first seed, to see whether it can be. UserError for
    what does not exist, and for parts that do not go together; in a grid, with all arms that it concerns.
    """
    with compose_api(folder):
        if not sweep:
            config = compose_run(overrides, folder)
            if is_search(config):
                raise UserError("a search is many runs\n  next: put -m behind marlpipe")
            check_selected(config, folder)
            check_runs_here(config, folder)
            check_run(config)
            return [run_folder(config)]
        executing = without_sweep(overrides, folder)
        if is_search(executing):
            check_search(overrides, executing, folder)
        arms: dict[tuple[str, ...], list[str]] = {}
        for run in expand_sweep(overrides, executing):
            seeds = [override for override in run if override.startswith("seed=")]
            arms.setdefault(tuple(o for o in run if o not in seeds), []).extend(seeds or [""])
        refused: dict[str, str] = {}
        planned: list[Path] = []
        for arm, seeds in arms.items():
            try:
                config = compose_run([*arm, *filter(None, seeds[:1])], folder)
                check_selected(config, folder)
                check_launcher(executing, config)
                check_run(config)
                values = [seed.value() for seed in parse_overrides(list(filter(None, seeds)))] or [config.seed]
                for seed in values:
                    check_number("seed", seed, BOUNDS["seed"])
                planned += [run_folder(config).with_name(f"seed={seed}") for seed in values]
            except UserError as error:
                refused[" ".join(arm) or "the defaults"] = str(error)
    if refused:
        raise no_run_started(refused, of=len(arms))
    return [] if is_search(executing) else planned


def no_run_started(refused: Mapping[str, str], of: int) -> UserError:
    """The error for a grid of so many arms, with the reason for each that cannot run."""
    if len(refused) == of and len(set(refused.values())) == 1:
        return UserError(next(iter(refused.values())))
    told = "\n".join(f"- {arm}\n  {reason}" for arm, reason in refused.items())
    return UserError(
        f"nothing was started, because {len(refused)} of the grid's {of} arms cannot run:\n{told}\n"
        "A grid is every combination of what it sweeps: arms that cannot have all of it need a command of their own."
    )


def expand_sweep(overrides: Sequence[str], executing: DictConfig) -> list[list[str]]:
    """The runs of a grid: every combination of swept values, an experiment's own sweep included. Of a search, those
    at the ends of its space.

    executing: the grid's own config, as `fixed` gives it.
    """
    params = executing.hydra.sweeper.params or {}
    given = {override.key_or_group for override in parse_overrides(overrides)}
    own = [f"{key}={value}" for key, value in params.items() if str(key) not in given]
    typed = parse_overrides([*own, *overrides])
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
    typed = [override for override in parse_overrides(overrides) if not override.is_sweep_override()]
    without = compose_run([str(one.input_line) for one in typed if not makes_a_search(one)], folder)
    alone, searched = defining_config(without), defining_config(executing)
    if changed := [key for key in searched if searched[key] != alone.get(key)]:
        making = " ".join(str(override.input_line) for override in typed if makes_a_search(override))
        raise UserError(
            f"{making} sets {', '.join(changed)} beside hydra.sweeper\n"
            "  next: write what all runs shall have into its hydra.sweeper.params, or type it"
        )


def without_sweep(overrides: Sequence[str], folder: Path) -> DictConfig:
    """The config of a grid's command line without what it sweeps, from which Hydra takes launcher and sweeper."""
    typed = parse_overrides(overrides)
    plain = [str(override.input_line) for override in typed if not override.is_sweep_override()]
    try:
        return compose_run(plain, folder)
    except UserError as error:
        if len(plain) == len(typed):
            raise
        raise UserError(
            f"{error}\n  for a key that only swept options have, write choice() around its value: KEY=choice(VALUE)"
        ) from error


def check_run(config: DictConfig) -> None:
    """UserError if this run could not be built."""
    check_keys(config)
    check_bounds(config)
    build_algorithm(config, build_env(config))
