"""The launcher of a command, and whether its configs agree with it: Hydra silently follows the command line alone."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from marlpipe.config.compose import resolved
from marlpipe.config.keys import check_part, check_parts, inside
from marlpipe.config.naming import overrides_of
from marlpipe.errors import UserError


def check_settings(grid: DictConfig) -> None:
    """UserError for a key that a grid's launcher or sweeper does not take, and for a value of another kind.

    grid: the config of its command line without what is swept.
    """
    for name, maker in (("launcher", "launcher"), ("sweeper", "search")):
        node = resolved(grid.hydra[name])
        check_part(node, f"hydra.{name}", maker if maker in node else None)
        for place, part in inside(node, f"hydra.{name}"):
            if place != f"hydra.{name}.{maker}":
                check_parts(part, place)


def check_runs_here(config: DictConfig, folder: Path) -> None:
    """UserError if a single run, which Hydra does right here, has anything that only grids have."""
    for override in overrides_of(config.hydra, "hydra"):
        if override.lstrip("+").startswith(("hydra.launcher.", "hydra.sweeper")):
            raise UserError(f"{override} is for grids, and this is one run\n  next: leave it out, or put -m before it")
    chosen, usual = launcher(config), usual_launcher(folder)
    if chosen != usual:
        raise UserError(
            f"hydra/launcher={chosen} is for grids, and Hydra does a single run right here\n"
            f"  next: to submit it, put -m behind marlpipe; to run it here, choose hydra/launcher={usual}"
        )


def check_launcher(executing: DictConfig, config: DictConfig) -> None:
    """UserError if a run of a grid asks for another launcher, or other settings of it, than the grid is executed with.

    executing: the config of the grid's command line without what is swept.
    config: of the run.
    """
    used, asked = launcher(executing), launcher(config)
    if asked != used or settings(config) != settings(executing):
        other = f"hydra/launcher={asked}" if asked != used else f"other settings of hydra/launcher={asked}"
        raise UserError(
            f"this run asks for {other}, but a grid has one launcher, here hydra/launcher={used}\n"
            "  next: choose it for the whole grid, or start that run in a command of its own;\n"
            "  resources that differ by algorithm or world are in hydra.launcher.algo and hydra.launcher.env"
        )


def settings(config: DictConfig) -> object:
    """Of the launcher, as they were given."""
    return OmegaConf.to_container(config.hydra.launcher)


def check_selected(config: DictConfig, folder: Path) -> None:
    """UserError if an option, such as an experiment, selects a launcher: Hydra follows `train.yaml` instead."""
    for group, option in config.hydra.runtime.choices.items():
        file = folder / group / f"{option}.yaml"
        for entry in (OmegaConf.select(OmegaConf.load(file), "defaults") or []) if file.is_file() else []:
            for key, selected in entry.items() if OmegaConf.is_dict(entry) else ():
                if str(key).split()[-1].lstrip("/") == "hydra/launcher" and selected != launcher(config):
                    raise UserError(
                        f"{group}={option} selects hydra/launcher={selected}, which Hydra ignores there\n"
                        f"  next: put -m and hydra/launcher={selected} on the command line, or hydra/launcher="
                        f"{launcher(config)} into {file}"
                    )


def launcher(config: DictConfig) -> str:
    """The option that a config has chosen."""
    return str(config.hydra.runtime.choices["hydra/launcher"])


def usual_launcher(folder: Path) -> str:
    """The option that `train.yaml` in a config folder chooses."""
    defaults = OmegaConf.load(folder / "train.yaml").defaults
    return next(str(entry["override hydra/launcher"]) for entry in defaults if "override hydra/launcher" in entry)
