"""All runs that were found, in whatever state: those that can be compared, and those that cannot, with the reason."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from marlpipe.analysis.runs import EVAL_RETURN, Run, load_run
from marlpipe.errors import UserError
from marlpipe.records.files import explained
from marlpipe.records.identity import run_record
from marlpipe.records.plain_text import plain
from marlpipe.records.search import find_folders
from marlpipe.status.look import Look, look

LARGEST_RETURN = 1e100  # its square is a number too
Records = Mapping[Path, Mapping[str, Any]]  # of runs, by their folders
CLOCKS = ("gradient_steps", "wall_s")


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """A run as it stands, and its evaluations over everything that counts up."""

    look: Look
    run: Run | None  # None where it cannot be read
    refusal: str | None = None  # why
    record: Mapping[str, Any]  # all of run.json, as it was when the run was read
    gradient_steps: Float[np.ndarray, " K"]  # at each evaluation; NaN where the run did not record it
    wall_s: Float[np.ndarray, " K"]

    @property
    def state(self) -> str:
        return "refused" if self.refusal else self.look.state

    @property
    def reason(self) -> str | None:
        return self.refusal or self.look.reason


def find(roots: Iterable[Path]) -> list[Found]:
    """All runs in and below some folders, in the order of their paths; one that cannot be read stops no other.

    Raises:
        UserError: a root does not exist, or there is no run below any.
    """
    return [_found(one) for one in look(find_folders(roots))]


def _found(one: Look) -> Found:
    if one.told.refusal:
        return _refused(one, one.told.refusal)
    try:
        run = load_run(one.told.folder.path)
        _check_returns(run)
        record, clocks = run_record(run.folder), _clocks(run)
    except UserError as error:
        return _refused(one, plain(str(error)))
    return Found(look=one, run=run, record=record, gradient_steps=clocks["gradient_steps"], wall_s=clocks["wall_s"])


def _refused(one: Look, reason: str) -> Found:
    nothing = np.array([], dtype=np.float64)
    return Found(look=one, run=None, refusal=reason, record={}, gradient_steps=nothing, wall_s=nothing)


def _check_returns(run: Run) -> None:
    known = np.abs(run.returns[np.isfinite(run.returns)])
    if known.max(initial=0.0) > LARGEST_RETURN:
        raise UserError(
            f"{run.folder.metrics}: an evaluation returned {known.max():.3g}, of which nothing can be computed.\n"
            f"  valid: up to {LARGEST_RETURN:.0e}\n  next: remove that line, or leave this run out"
        )


def _clocks(run: Run) -> dict[str, Float[np.ndarray, " K"]]:
    """What counts up beside the env steps, at each evaluation. A run that goes on meanwhile may have changed a row."""
    rows = dict(_evaluations(run))
    return {
        name: np.array([rows.get(step, {}).get(name, math.nan) for step in run.env_steps.tolist()], dtype=np.float64)
        for name in CLOCKS
    }


def _evaluations(run: Run) -> Iterator[tuple[int, Mapping[str, float]]]:
    """By env steps. Only the lines of evaluations are parsed: they are few among many."""
    if not run.folder.metrics.is_file():
        return
    with explained("read", run.folder.metrics):
        text = run.folder.metrics.read_text(encoding="utf-8", errors="replace")
    for line in text.split("\n")[:-1]:
        if EVAL_RETURN in line:
            with suppress(ValueError, TypeError, KeyError, OverflowError):  # it was not there a moment ago
                row = json.loads(line)
                yield int(row["env_steps"]), {name: float(row.get(name, "nan")) for name in CLOCKS}
