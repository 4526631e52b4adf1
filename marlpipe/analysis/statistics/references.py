"""Normalised scores, comparable between tasks: 0 is the return of random actions, 1 the highest possible return.

A matrix game's payoffs give both. For other worlds `references.yaml`, in this folder, lists some, each with the
settings that it holds for; the remaining worlds are in no aggregate over tasks.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.run_config import LOADER, read_config
from marlpipe.analysis.statistics.aggregates import Scores
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors

KNOWN = Path(__file__).with_name("references.yaml")
UNLISTED = "the returns of random and of best actions are not known for its settings"
DIFFERENT = "its arms were trained in worlds with different references"


class Reference(NamedTuple):
    """The returns that scores of a task are normalised with."""

    random: float  # mean return of uniformly random actions
    best: float  # the highest possible return
    source: str


class Known(NamedTuple):
    """A reference with the settings of the world that it holds for."""

    reference: Reference
    settings: Mapping[str, Any]


class References(NamedTuple):
    """The references of tasks, by task; `missing` has the reason for each task without one."""

    known: Mapping[str, Reference]
    missing: Mapping[str, str]


class Normalised(NamedTuple):
    """Scores of the tasks that have a reference; `messages` name the others with the reason."""

    scores: Scores
    messages: tuple[str, ...]


def normalised(scores: Scores, references: References) -> Normalised:
    """(score - random) / (best - random) of the tasks that have a reference; the others are left out."""
    known = {task: references.known[task] for task in scores if task in references.known}
    messages = tuple(
        f"{task} is in no aggregate over tasks: {references.missing.get(task, UNLISTED)}"
        for task in scores
        if task not in known
    )
    return Normalised(
        {task: (scores[task] - known[task].random) / (known[task].best - known[task].random) for task in known},
        messages,
    )


def references(arms: Mapping[str, Sequence[Arm]], listed: Sequence[Known] | None = None) -> References:
    """The reference of each task whose arms were all trained in worlds with the same one.

    An override such as env.time_limit=50 makes another world, with another reference or none.

    Args:
        arms: by task, as `arms.by_env` returns them.
        listed: as `read_references` returns them; None reads those of marlpipe.
    """
    listed = read_references() if listed is None else listed
    known, missing = {}, {}
    for task, own in arms.items():
        try:
            found = {_reference(settings(arm.runs[0]), listed) for arm in own}
        except UserError as error:
            missing[task] = str(error)
            continue
        if len(found) > 1:
            missing[task] = DIFFERENT
        elif (reference := found.pop()) is None:
            missing[task] = UNLISTED
        else:
            known[task] = reference
    return References(known, missing)


def read_references(path: Path = KNOWN) -> list[Known]:
    """Reads a list of worlds, each with `random`, `best`, `source`, and the settings of the world under `env`.

    Raises:
        UserError: the file cannot be read, or an entry is invalid.
    """
    with os_errors_as_user_errors("read", path):
        text = path.read_bytes()
    try:
        entries = yaml.load(text, LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _invalid(path, str(error)) from error
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict) or set(entry) != {"random", "best", "source", "env"}:
            raise _invalid(path, f"an entry does not have the keys random, best, source and env: {entry!r:.200}")
        numbers = [entry["random"], entry["best"]]
        if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
            raise _invalid(path, f"random and best are not two numbers: {numbers!r:.80}")
        if entry["random"] >= entry["best"] or not isinstance(entry["env"], dict):
            raise _invalid(path, f"random {entry['random']} is not below best {entry['best']}, or env has no settings")
    return [Known(Reference(float(one["random"]), float(one["best"]), one["source"]), one["env"]) for one in entries]


def settings(run: Run) -> dict[str, Any]:
    """The settings of the run's world; empty where its config has none. UserError for an unreadable config."""
    env = read_config(run.folder).get("env")
    return env if isinstance(env, dict) else {}


def _reference(env: Mapping[str, Any], listed: Sequence[Known]) -> Reference | None:
    return _payoffs(env) or next((known.reference for known in listed if known.settings.items() <= env.items()), None)


def _payoffs(env: Mapping[str, Any]) -> Reference | None:
    """Of a matrix game: the mean payoff for random actions, the largest for the best, times the horizon."""
    try:
        team, local = env.get("team_payoffs"), env.get("local_payoffs")
        table = np.array(team, dtype=np.float64) if team is not None else np.array(local, dtype=np.float64).sum(axis=0)
        horizon = int(env["horizon"])
        random, best = horizon * float(table.mean()), horizon * float(table.max())
    except (KeyError, TypeError, ValueError):
        return None
    return Reference(random, best, "its payoff table") if random < best else None


def _invalid(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is invalid: {reason}\n  next: restore the file, or correct it by hand")
