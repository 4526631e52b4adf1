"""The result of a trial: one number from the run folders of its seeds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from marlpipe.analysis.statistics.aggregates import iqm
from marlpipe.errors import UserError
from marlpipe.launch.search.objectives import Objective
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import EVAL_RETURN
from marlpipe.runs.standing import RunStanding, standings

LOOK_EVERY_S = 2.0  # at runs that a queue was asked for
STARTING_S = 60.0  # a run that a job has just started seems lost until it takes its lock


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The objective of a trial, and the same of each seed alone; or why there is none."""

    value: float | None = None
    by_seed: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None


def outcome(folders: Sequence[RunFolder], objective: Objective) -> Outcome:
    """The interquartile mean of the scores of all runs together.

    Args:
        folders: of the runs, one per seed, which have all ended.
        objective: scores each.

    Raises:
        UserError: a run was interrupted, so that nothing is known yet.
    """
    counted: dict[str, list[float]] = {}
    for folder, found in zip(folders, settled(folders), strict=True):
        name = folder.path.name
        if found.state == "failed":
            return Outcome(reason=f"{name}: {found.reason or 'it failed'}".splitlines()[0])
        if found.state != "finished":
            raise UserError(
                f"{folder.path} is {found.state}: {found.reason or 'no process works on it'}\n"
                "  The search ends here, and the same command goes on with this run."
            )
        try:
            counted[name] = objective([row for row in folder.read_metrics() if EVAL_RETURN in row])
        except ValueError as error:
            return Outcome(reason=f"{name}: {error}")
    return Outcome(
        value=robust([value for values in counted.values() for value in values]),
        by_seed={name: robust(values) for name, values in counted.items()},
    )


def robust(values: Sequence[float]) -> float:
    """The interquartile mean."""
    return iqm({"": np.array(values)})


def settled(folders: Sequence[RunFolder]) -> list[RunStanding]:
    """The states of runs, once no process works on any of them and no job is queued for one."""
    since = time.monotonic()
    while True:
        looks = standings(folders)
        if any(one.state == "running" or (one.state == "queued" and one.records.submitted) for one in looks):
            since = time.monotonic()
        elif time.monotonic() - since > STARTING_S or not any(one.state == "lost" for one in looks):
            return looks
        time.sleep(LOOK_EVERY_S)
