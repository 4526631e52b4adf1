"""Scores that can be compared between tasks: 0 is what random actions earn, 1 the most that can be earned.

Matrix games say both themselves. Of other worlds `references.yaml`, beside this file, knows some, each for the
settings that it was found with; of the rest no aggregate over tasks is possible.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.aggregates import Scores
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors

KNOWN = Path(__file__).with_name("references.yaml")
LARGEST_CONFIG = 100_000  # bytes
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where PyYAML was built with it


class Reference(NamedTuple):
    """What the returns of one task are measured against."""

    random: float  # mean return of uniformly random actions
    best: float  # the highest return that is possible
    source: str


class Known(NamedTuple):
    """A reference, and the settings of the world that it holds for."""

    reference: Reference
    settings: Mapping[str, Any]


class Normalised(NamedTuple):
    """Scores of the tasks that have a reference, and in `messages` those that have none."""

    scores: Scores
    messages: tuple[str, ...]


def normalised(scores: Scores, references: Mapping[str, Reference]) -> Normalised:
    """(score - random) / (best - random), of the tasks that have a reference; the others are left out, and named."""
    known = {task: references[task] for task in scores if task in references}
    messages = tuple(
        f"{task}: what random and best actions earn is not known for its settings: it is in no aggregate over tasks."
        for task in scores
        if task not in references
    )
    return Normalised(
        {task: (scores[task] - known[task].random) / (known[task].best - known[task].random) for task in known},
        messages,
    )


def references(arms: Mapping[str, Sequence[Arm]], known: Sequence[Known] | None = None) -> dict[str, Reference]:
    """The references of the tasks that have one, by task; `arms` is by task, as `arms.by_env` gives them.

    A task has one where all its arms were in worlds with the same reference: an override such as env.time_limit=50
    makes another world.

    Args:
        known: as `read_references` reads them; None reads those that come with marlpipe.
    """
    listed = read_references() if known is None else known
    found = {}
    for task, own in arms.items():
        each = {_reference(settings(arm.runs[0]), listed) for arm in own}
        if len(each) == 1 and (reference := each.pop()) is not None:
            found[task] = reference
    return found


def read_references(path: Path = KNOWN) -> list[Known]:
    """A list of worlds, each with `random`, `best`, `source`, and under `env` the settings that these hold for.

    Raises:
        UserError: the file cannot be read, or an entry is not such.
    """
    with os_errors_as_user_errors("read", path):
        try:
            told = _parsed(path)
        except ValueError as error:
            raise _wrong(path, str(error)) from error
    for entry in told if isinstance(told, list) else [told]:
        if not isinstance(entry, dict) or set(entry) != {"random", "best", "source", "env"}:
            raise _wrong(path, f"an entry is not such: {entry!r:.200}")
        numbers = [entry["random"], entry["best"]]
        if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
            raise _wrong(path, f"random and best are not two numbers: {numbers!r:.80}")
        if entry["random"] >= entry["best"] or not isinstance(entry["env"], dict):
            raise _wrong(path, f"random {entry['random']} is not below best {entry['best']}, or env has no settings")
    return [Known(Reference(float(one["random"]), float(one["best"]), one["source"]), one["env"]) for one in told]


def config(run: Run) -> dict[str, Any]:
    """The run's config; empty where there is none that can be read."""
    try:
        told = _parsed(run.folder.config)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def settings(run: Run) -> dict[str, Any]:
    """What the run's config says of its world; nothing where it says nothing."""
    env = config(run).get("env")
    return env if isinstance(env, dict) else {}


def _reference(env: Mapping[str, Any], listed: Sequence[Known]) -> Reference | None:
    return _payoffs(env) or next((known.reference for known in listed if known.settings.items() <= env.items()), None)


def _payoffs(env: Mapping[str, Any]) -> Reference | None:
    """Of a matrix game: random actions earn the mean payoff in each env step, the best the largest."""
    try:
        team, local = env.get("team_payoffs"), env.get("local_payoffs")
        table = np.array(team, dtype=np.float64) if team is not None else np.array(local, dtype=np.float64).sum(axis=0)
        horizon = int(env["horizon"])
        random, best = horizon * float(table.mean()), horizon * float(table.max())
    except (KeyError, TypeError, ValueError):
        return None
    return Reference(random, best, "its table of payoffs") if random < best else None


def _parsed(path: Path) -> Any:
    """ValueError for what is no YAML, or too long for what it should be; OSError as `open` raises it."""
    with path.open("rb") as file:
        text = file.read(LARGEST_CONFIG + 1)
    if len(text) > LARGEST_CONFIG:
        raise ValueError(f"it is longer than {LARGEST_CONFIG:,} bytes")
    try:
        return yaml.load(text, LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _wrong(path: Path, reason: str) -> UserError:
    return UserError(f"{path} cannot be understood: {reason}\n  next: restore the file, or correct it by hand")
