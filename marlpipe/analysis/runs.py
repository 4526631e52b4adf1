"""Run folders as records: who each run is, how it stands, and its evaluation curve."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from marlpipe.errors import UserError
from marlpipe.records.folder import RunFolder
from marlpipe.records.identity import Identity, identity
from marlpipe.records.status import Status

EVAL_RETURN = "eval/return_mean"


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One run as its folder tells it."""

    folder: RunFolder
    identity: Identity
    status: Status
    env_steps: Int[np.ndarray, " K"]  # of each evaluation, increasing
    returns: Float[np.ndarray, " K"]  # mean return of each evaluation; NaN where it was not finite
    last: dict[str, float]  # all metrics of the last evaluation, none before the first


def load_run(path: Path) -> Run:
    """Reads one run folder, whatever state the run is in.

    Raises:
        UserError: a file of the run is broken.
    """
    folder = RunFolder(path)
    by_step = _evaluations(folder)
    steps = sorted(by_step)
    return Run(
        folder=folder,
        identity=identity(folder),
        status=folder.status,
        env_steps=np.array(steps, dtype=np.int64),
        returns=np.array([by_step[step][EVAL_RETURN] for step in steps], dtype=np.float64),
        last=by_step[steps[-1]] if steps else {},
    )


def find_runs(roots: Iterable[Path]) -> list[Run]:
    """All runs in and below some folders, each once, in the order of their paths.

    Raises:
        UserError: a root does not exist, there is no run below any, or a run's files are broken.
    """
    searched = list(roots)
    for root in searched:
        if not root.is_dir():
            raise UserError(f"there is no folder {root}\n  Give the folder of a run, or one above it, like multirun/.")
    # a run that was killed early has a status, but has not said yet who it is
    named = [file for root in searched for name in ("run.json", "status.json") for file in root.rglob(name)]
    found = {file.parent.resolve(): file.parent for file in named}
    if not found:
        places = ", ".join(str(root) for root in searched) or "(no folder given)"
        raise UserError(
            f"no run found in {places}\n  A run is a folder with a run.json. Start some first, for instance:\n"
            "  python -m marlpipe -m algo=qmix,vdn env=cartpole seed=0,1,2"
        )
    return [load_run(found[path]) for path in sorted(found)]


def _evaluations(folder: RunFolder) -> dict[int, dict[str, float]]:
    """By env steps: an evaluation that was repeated after a resume counts once, as it came out last."""
    return {int(row["env_steps"]): row for row in folder.read_metrics() if EVAL_RETURN in row}
