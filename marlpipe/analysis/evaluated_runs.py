"""Runs read from their folders: identity, status and evaluation curve."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from marlpipe.errors import UserError
from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import Identity, identity
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.metrics import EVAL_RETURN
from marlpipe.runs.status import LARGEST, Status


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One run as recorded in its folder; K evaluations."""

    folder: RunFolder
    identity: Identity
    status: Status
    env_steps: Int[np.ndarray, " K"]  # of each evaluation, increasing
    returns: Float[np.ndarray, " K"]  # mean return of each evaluation; NaN where it was not finite
    gradient_steps: Float[np.ndarray, " K"]  # at each evaluation; NaN where they were not recorded
    wall_s: Float[np.ndarray, " K"]  # seconds of training at each evaluation; NaN where they were not recorded
    last: dict[str, float]  # all metrics of the last evaluation; empty without an evaluation


def load_run(path: Path) -> Run:
    """Reads one run folder in any state; its content is untrusted.

    Raises:
        UserError: a file of the run is broken, or a link leads out of the folder.
    """
    check_enclosed(path)
    folder = RunFolder(path)
    by_step = _evaluations(folder)
    steps = sorted(by_step)

    def column(name: str) -> Float[np.ndarray, " K"]:
        return np.array([by_step[step].get(name, math.nan) for step in steps], dtype=np.float64)

    return Run(
        folder=folder,
        identity=identity(folder),
        status=folder.status,
        env_steps=np.array(steps, dtype=np.int64),
        returns=column(EVAL_RETURN),
        gradient_steps=column("gradient_steps"),
        wall_s=column("wall_s"),
        last=by_step[steps[-1]] if steps else {},
    )


def find_runs(roots: Iterable[Path]) -> list[Run]:
    """All runs in and below some folders, each once, in the order of their paths.

    Raises:
        UserError: a root does not exist, there is no run below any, or a run's files are broken.
    """
    return [load_run(folder.path) for folder in find_folders(roots)]


def _evaluations(folder: RunFolder) -> dict[int, dict[str, float]]:
    """By env steps; of an evaluation that was repeated after a resume, the last one counts."""
    evaluations = [row for row in folder.read_metrics() if EVAL_RETURN in row]
    for row in evaluations:
        if not 0 <= row.get("env_steps", math.nan) <= LARGEST / 2:  # a larger float may round up beyond int64
            raise UserError(
                f"{folder.metrics}: an evaluation at env_steps={row.get('env_steps', 'null')}.\n"
                "  valid: a number from 0\n  next: remove that line"
            )
    return {
        int(row["env_steps"]): row if math.isfinite(row[EVAL_RETURN]) else {**row, EVAL_RETURN: math.nan}
        for row in evaluations
    }
