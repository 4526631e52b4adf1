"""All runs below some folders, in any state: those that can be compared, and the others with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marlpipe.analysis.evaluated_runs import Run, load_run
from marlpipe.errors import UserError
from marlpipe.runs.find import find_folders
from marlpipe.runs.identity import run_record
from marlpipe.runs.standing import RunStanding, standings
from marlpipe.runs.text import printable

LARGEST_RETURN = 1e100  # its square is finite
Records = Mapping[Path, Mapping[str, Any]]  # of runs, by their folders


@dataclass(frozen=True, eq=False, kw_only=True)
class FoundRun:
    """A run with its state; `run` is None where its files cannot be read, for the reason `refusal`."""

    standing: RunStanding
    run: Run | None
    refusal: str | None = None
    record: Mapping[str, Any]  # the content of run.json

    @property
    def state(self) -> str:
        return "refused" if self.refusal else self.standing.state

    @property
    def reason(self) -> str | None:
        return self.refusal or self.standing.reason


def find_runs(roots: Iterable[Path]) -> list[FoundRun]:
    """All runs in and below some folders, in the order of their paths, including those that cannot be read.

    Raises:
        UserError: a root does not exist, or there is no run below any.
    """
    return [_found_run(one) for one in standings(find_folders(roots))]


def _found_run(one: RunStanding) -> FoundRun:
    if one.records.refusal:
        return _refused(one, one.records.refusal)
    try:
        run = load_run(one.records.folder.path)
        _check_returns(run)
        record = run_record(run.folder)
    except UserError as error:
        return _refused(one, printable(str(error)))
    return FoundRun(standing=one, run=run, record=record)


def _refused(one: RunStanding, reason: str) -> FoundRun:
    return FoundRun(standing=one, run=None, refusal=reason, record={})


def _check_returns(run: Run) -> None:
    known = np.abs(run.returns[np.isfinite(run.returns)])
    if known.max(initial=0.0) > LARGEST_RETURN:
        raise UserError(
            f"{run.folder.metrics}: an evaluation has the return {known.max():.3g}, whose square overflows.\n"
            f"  valid: up to {LARGEST_RETURN:.0e}\n  next: remove that line, or leave this run out"
        )
