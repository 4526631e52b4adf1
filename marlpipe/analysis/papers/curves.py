"""Learning curves as a small CSV file: what figures are drawn from when the runs are no longer there."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors, write_text

COLUMNS = ("env", "arm", "seed", "env_steps", "minutes", "return")


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedCurve:
    """The evaluations of one run."""

    env: str
    arm: str
    seed: int
    env_steps: Int[np.ndarray, " K"]
    minutes: Float[np.ndarray, " K"]  # of training; NaN where they were not recorded
    returns: Float[np.ndarray, " K"]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.env, self.arm, self.seed


def finished_curves(runs: Sequence[Run]) -> list[SeedCurve]:
    """The curves of the finished runs. An arm is named as in a report of all of them."""
    return [
        SeedCurve(
            env=env,
            arm=arm.name,
            seed=run.identity.seed,
            env_steps=run.env_steps,
            minutes=run.wall_s / 60,
            returns=run.returns,
        )
        for env, arms in by_env(runs).items()
        for arm in arms
        for run in arm.runs
        if run.status.state == "finished"
    ]


def merged(kept: Iterable[SeedCurve], new: Iterable[SeedCurve]) -> list[SeedCurve]:
    """All curves in a fixed order; a new one takes the place of one of the same run."""
    by_key = {curve.key: curve for curve in (*kept, *new)}
    return [by_key[key] for key in sorted(by_key)]


def read_curves(file: Path) -> list[SeedCurve]:
    """Those of a file; none where there is no file.

    Raises:
        UserError: the file cannot be read, or is none of ours.
    """
    if not file.exists():
        return []
    with os_errors_as_user_errors("read", file):
        text = file.read_text(encoding="utf-8")
    rows: dict[tuple[str, str, int], list[tuple[int, float, float]]] = {}
    try:
        for row in csv.DictReader(io.StringIO(text)):
            numbers = int(row["env_steps"]), float(row["minutes"]), float(row["return"])
            rows.setdefault((row["env"], row["arm"], int(row["seed"])), []).append(numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file} is no table of learning curves: {type(error).__name__}: {error}\n"
            f"  valid: the columns {', '.join(COLUMNS)}\n  next: restore the file, or move it away"
        ) from error
    return [
        SeedCurve(
            env=env,
            arm=arm,
            seed=seed,
            env_steps=np.array([steps for steps, _, _ in evaluations], dtype=np.int64),
            minutes=np.array([minutes for _, minutes, _ in evaluations]),
            returns=np.array([value for _, _, value in evaluations]),
        )
        for (env, arm, seed), evaluations in rows.items()
    ]


def write_curves(file: Path, curves: Iterable[SeedCurve]) -> None:
    """Returns with five digits, minutes with two decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for curve in curves:
        for steps, minutes, value in zip(curve.env_steps, curve.minutes, curve.returns, strict=True):
            writer.writerow([curve.env, curve.arm, curve.seed, steps, f"{minutes:.2f}", f"{value:.5g}"])
    write_text(file, text.getvalue())
