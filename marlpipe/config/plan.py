"""The runs that a command line asks for, checked before any of them starts."""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.compose import compose_api, compose_run, texts
from marlpipe.config.heavy_imports import heavy_imports
from marlpipe.config.hydra_internals import split_sweep
from marlpipe.config.kinds import check_value
from marlpipe.config.launcher import (
    check_launcher,
    check_runs_here,
    check_selected,
    check_settings,
    launcher,
    usual_launcher,
)
from marlpipe.config.moved import check_same_names
from marlpipe.config.naming import defining_config, overrides_of, run_path
from marlpipe.config.schema import SEED
from marlpipe.config.search_space import check_installed, divide, ends_of_space, is_search, makes_a_search
from marlpipe.config.typed import MOST_RUNS, count_values, parse_overrides, too_many
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.path import RunPath

OF_THE_SEED = re.compile(r"\$\{[^}]*\bseed\b")


@dataclass(frozen=True, kw_only=True)
class PlannedArm:
    """The runs of a command line that differ in their seed only."""

    overrides: str  # as they were typed
    config: DictConfig  # of the first run
    runs: list[RunPath]


def planned_folders(overrides: Sequence[str], folder: Path, *, sweep: bool) -> list[Path]:
    """The folder of every run that a command line asks for, as `plan` does, with Hydra set up for it."""
    with compose_api(folder):
        return [run.folder for run in plan(overrides, folder, sweep=sweep)]


def plan(overrides: Sequence[str], folder: Path, *, sweep: bool) -> list[RunPath]:
    """Every run that a command line asks for, in its order; none of a search, which decides as it goes.

    Each arm is composed once, and built once on the CPU with its first seed unless all its runs are finished. The
    configs stay with Hydra's loader, from which the launcher takes them. To be called inside `compose_api`.

    Raises:
        UserError: something does not exist, or parts do not go together; in a grid, with all arms that this concerns.
    """
    if not sweep:
        return _planned_run(overrides, folder).runs
    typed = parse_overrides(overrides)
    for override in typed:
        if override.is_sweep_override() and override.is_hydra_override():
            raise UserError(
                f"{override.input_line}: a grid has one launcher, with one set of settings\n"
                "  next: choose one value; resources that differ by algorithm or world are in hydra.launcher.algo and\n"
                "  hydra.launcher.env"
            )
    grid = compose_grid(overrides, folder)
    check_settings(grid)
    if is_search(grid):
        check_search(overrides, grid, folder)
    seeds_of: dict[tuple[str, ...], list[list[str]]] = {}
    for run in expand_sweep(grid):
        arm = tuple(override for override in run if not override.startswith("seed="))
        seeds_of.setdefault(arm, []).append(run)
    refused: dict[str, str] = {}
    arms: list[PlannedArm] = []
    for arm, runs in seeds_of.items():
        try:
            arms.append(_planned_arm(runs, grid, folder))
        except UserError as error:
            refused[" ".join(arm) or "the defaults"] = str(error)
    if refused:
        raise no_run_started(refused, of=len(seeds_of))
    check_names(arms)
    return [] if is_search(grid) else [run for arm in arms for run in arm.runs]


def _planned_run(overrides: Sequence[str], folder: Path) -> PlannedArm:
    config = compose_run([*overrides, "hydra.mode=RUN"], folder)
    if is_search(config):
        raise UserError("a search is many runs\n  next: put -m behind marlpipe")
    check_selected(config, folder)
    check_runs_here(config, folder)
    run = run_path(config)
    check_folders(config, run)
    check_same_names(RunFolder(run.folder), config)
    _check_unless_finished(config, [run], here=True)
    return PlannedArm(overrides=" ".join(overrides), config=config, runs=[run])


def _planned_arm(runs: Sequence[Sequence[str]], grid: DictConfig, folder: Path) -> PlannedArm:
    """runs: the overrides of each run of the arm, which differ in their seed only."""
    config = compose_run([*overrides_of(grid.hydra, "hydra"), *runs[0]], folder)
    check_selected(config, folder)
    check_launcher(grid, config)
    first = run_path(config)
    check_folders(config, first)
    typed = [override for run in runs for override in parse_overrides(run) if override.key_or_group == "seed"]
    seeds: list[Any] = [override.value() for override in typed] or [config.seed]
    for seed in seeds:
        check_value("seed", seed, SEED)
    planned = [first.sibling(seed) for seed in seeds]
    if any(OF_THE_SEED.search(text) for _, text in texts(OmegaConf.to_container(config), "")):
        planned = [run_path(with_seed(config, seed)) for seed in seeds]
    _check_unless_finished(config, planned, here=launcher(config) == usual_launcher(folder))
    return PlannedArm(overrides=" ".join(runs[0]), config=config, runs=planned)


def with_seed(config: DictConfig, seed: int) -> DictConfig:
    """A copy with another seed, for what refers to it."""
    other = copy.deepcopy(config)
    OmegaConf.update(other, "seed", seed)
    return other


def check_folders(config: DictConfig, run: RunPath) -> None:
    """UserError if a YAML file of somebody's puts Hydra's output elsewhere: paths.runs alone decides where runs go."""
    ours, theirs = str(run.folder), {"hydra.run.dir": config.hydra.run.dir, "hydra.sweep.dir": config.hydra.sweep.dir}
    for key, value in {**theirs, "hydra.sweep.subdir": config.hydra.sweep.subdir}.items():
        if str(value) not in (ours, str(run.root), run.name):
            raise UserError(f"a YAML file sets {key}={value}, which is not followed.\n  next: set paths.runs instead")


def _check_unless_finished(config: DictConfig, runs: Sequence[RunPath], *, here: bool) -> None:
    """here: whether this machine is the one that trains."""
    if not all(RunFolder(run.folder).status.state == "finished" for run in runs):
        with heavy_imports():
            from marlpipe.config.check import check_device, check_run  # build the run, for which they import torch

        check_run(config)
        if here:
            check_device(config)


def check_names(arms: Sequence[PlannedArm]) -> None:
    """UserError if two arms share a folder and are not the same: their classes have the same names."""
    known: dict[tuple[str, str, str], PlannedArm] = {}
    for arm in arms:
        first = arm.runs[0]
        other = known.setdefault((first.env, first.algo, first.arm), arm)
        if defining_config(other.config) != defining_config(arm.config):
            raise UserError(
                f"two arms would share the folder {first.folder.parent}, because classes of theirs have the same "
                f"names:\n  {other.overrides}\n  {arm.overrides}\n  next: rename one of the classes"
            )


def no_run_started(refused: Mapping[str, str], of: int) -> UserError:
    """The error for a grid of so many arms, with the reason for each that cannot run."""
    if len(refused) == of and len(set(refused.values())) == 1:
        return UserError(next(iter(refused.values())))
    reasons = "\n".join(f"- {arm}\n  {reason}" for arm, reason in refused.items())
    return UserError(
        f"nothing was started, because {len(refused)} of the grid's {of} arms cannot run:\n{reasons}\n"
        "A grid is every combination of what it sweeps: arms that cannot have all of it need a command of their own."
    )


def expand_sweep(grid: DictConfig) -> list[list[str]]:
    """The runs of a grid, from its own config: every combination of swept values, an experiment's own sweep included.

    Of a search, those at the ends of its space.
    """
    overrides = overrides_of(grid.hydra, "task")
    given = {override.key_or_group for override in parse_overrides(overrides)}
    own = [f"{key}={value}" for key, value in (grid.hydra.sweeper.params or {}).items() if str(key) not in given]
    typed = parse_overrides([*own, *overrides])
    if is_search(grid):
        return ends_of_space(divide(typed))
    swept = [one for one in typed if one.is_sweep_override() and not one.is_interval_sweep()]
    counts = {str(override.input_line): count_values(override) for override in swept}
    for line, count in counts.items():
        if not count:
            raise UserError(f"{line} matches nothing.\n  next: see --help for the options of each group")
    if math.prod(counts.values()) > MOST_RUNS:
        raise too_many(" ".join(counts))
    for override in filter(Override.is_interval_sweep, typed):
        raise UserError(
            f"{override.input_line}: a grid cannot try all values of an interval\n"
            "  valid: choice(A, B, …) or range(LOW, HIGH, STEP); for a search, +hparams_search=optuna"
        )
    return split_sweep(typed)


def check_search(overrides: Sequence[str], grid: DictConfig, folder: Path) -> None:
    """UserError if Optuna is not installed, or an option that makes a search sets more than what to vary: the best
    trial, trained without a search, would be another run.
    """
    check_installed()
    typed = [override for override in parse_overrides(overrides) if not override.is_sweep_override()]
    without = compose_run([str(one.input_line) for one in typed if not makes_a_search(one)], folder)
    alone, searched = defining_config(without), defining_config(grid)
    if changed := [key for key in searched if searched[key] != alone.get(key)]:
        making = " ".join(str(override.input_line) for override in typed if makes_a_search(override))
        raise UserError(
            f"{making} sets {', '.join(changed)} in addition to hydra.sweeper\n"
            "  next: write what all runs shall have into its hydra.sweeper.params, or type it"
        )


def compose_grid(overrides: Sequence[str], folder: Path) -> DictConfig:
    """The config of a grid's command line without what it sweeps, from which Hydra takes launcher and sweeper."""
    try:
        return compose_run([*overrides, "hydra.mode=MULTIRUN"], folder, RunMode.MULTIRUN)
    except UserError as error:
        if not any(override.is_sweep_override() for override in parse_overrides(overrides)):
            raise
        raise UserError(
            f"{error}\n  for a key that only swept options have, write choice() around its value: KEY=choice(VALUE)"
        ) from error
