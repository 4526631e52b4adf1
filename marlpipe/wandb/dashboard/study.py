"""The runs that a dashboard shows: those of a folder, or a project whose runs are not known here."""

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.analysis.arms import Arm, by_env
from marlpipe.analysis.evaluated_runs import Run, load_run
from marlpipe.errors import UserError
from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import run_record
from marlpipe.runs.text import printable
from marlpipe.wandb.dashboard.destination import Destination, destination

NAME = re.compile(r"[\w./-]+", re.ASCII)  # of environments and arms, as marlpipe makes them
DISTINGUISHING = ("partition", "monotonicity", "profile", "arm")  # keys of arms of one algorithm, by preference


@dataclass(frozen=True, kw_only=True)
class World:
    """The runs of one environment."""

    env: str
    arms: tuple[Arm, ...]
    groups: tuple[str, ...]  # keys of the W&B config that distinguish the arms, the algorithm first
    metrics: frozenset[str]  # with a finite value in any of the runs that were read
    pictures: frozenset[str]

    @property
    def finished(self) -> bool:
        return not all(arm.partial for arm in self.arms)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A W&B project, and the runs of it that are known."""

    name: str
    destination: Destination
    worlds: tuple[World, ...] = ()  # empty: all runs of the project


def study_of(root: Path) -> Study:
    """Reads a folder of runs, whose content is untrusted; runs that cannot be read are left out with a warning.

    Raises:
        UserError: there is no run, none that was sent to W&B, or they are in several projects.
    """
    runs: dict[Destination, list[Run]] = {}
    for folder in find_folders([root]):
        try:
            run = load_run(folder.path)
            where = destination(folder)
            if not all(map(NAME.fullmatch, (run.identity.env, run.identity.arm))):
                raise UserError(f"{folder.run}: env or arm is not a name that marlpipe gives.")
        except UserError as error:
            print(printable(f"warning: left out: {error}"), file=sys.stderr)
            continue
        if where is not None:
            runs.setdefault(where, []).append(run)
    if not runs:
        raise UserError(
            f"no run in {root} was recorded by W&B.\n"
            "  next: train with logger=wandb, which is the default;"
            f" or python -m marlpipe compare {root}, which needs no W&B"
        )
    if len(runs) > 1:
        raise UserError(
            f"the runs in {root} are in several projects: {', '.join(sorted(map(str, runs)))}\n"
            "  next: give a folder whose runs are in one of them"
        )
    ((where, found),) = runs.items()
    worlds = tuple(_world(env, tuple(arms)) for env, arms in by_env(found).items())
    return Study(name=root.resolve().name, destination=where, worlds=worlds)


def _world(env: str, arms: tuple[Arm, ...]) -> World:
    """Reads the metrics of each arm from its run with the largest metrics file."""
    folders = [max(arm.runs, key=_recorded).folder for arm in arms]
    rows = [row for folder in folders for row in folder.read_metrics()]
    return World(
        env=env,
        arms=arms,
        groups=_groups(arms),
        metrics=frozenset(
            printable(name, keep="") for row in rows for name, value in row.items() if math.isfinite(value)
        ),
        pictures=frozenset(printable(name, keep="") for folder in folders for name in _pictures(folder)),
    )


def _pictures(folder: RunFolder) -> set[str]:
    """Names of the pictures of its evaluations, without env steps."""
    return {file.stem.rpartition("_")[0] for file in folder.pictures.glob("[!.]*_*")}


def _recorded(run: Run) -> int:
    """Size of its metrics file in bytes."""
    return run.folder.metrics.stat().st_size if run.folder.metrics.is_file() else 0


def _groups(arms: Sequence[Arm]) -> tuple[str, ...]:
    """The fewest keys that distinguish the arms: W&B averages runs of the same group."""
    choices = [run_record(arm.runs[0].folder).get("choices", {}) for arm in arms]
    values = [
        {**choice, "algo": arm.runs[0].identity.algo, "arm": arm.runs[0].identity.arm}
        for arm, choice in zip(arms, choices, strict=True)
    ]
    kept = ["algo"]
    for key in DISTINGUISHING:
        if _distinguished(values, [*kept, key]) > _distinguished(values, kept):
            kept.append(key)
    return tuple(kept)


def _distinguished(values: Sequence[dict[str, object]], keys: Sequence[str]) -> int:
    return len({tuple(str(value.get(key)) for key in keys) for value in values})
