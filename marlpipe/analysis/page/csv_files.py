"""All numbers of the comparison as CSV tables, unrounded; unknown values are empty."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.statistics.bootstrap import Band, Interval

Cell = str | float | int | None
Table = tuple[Sequence[str], Iterable[Sequence[Cell]]]
BOUNDS = ("point", "low", "high")


def csv_files(comparison: Comparison) -> dict[str, str]:
    """The text of each file, by file name; rows have the order of the page."""
    tables: dict[str, Table] = {
        "results.csv": (
            ("env", "arm", "partial", "seeds", *_headings("final"), *_headings("area"), *_headings("absolute")),
            _results(comparison),
        ),
        "curves.csv": (
            ("run", "env", "arm", "seed", "env_steps", "gradient_steps", "wall_s", "return"),
            _curves(comparison),
        ),
        "bands.csv": (("env", "arm", "env_steps", *BOUNDS), _bands(comparison)),
        "profiles.csv": (("env", "arm", "threshold", *BOUNDS), _profiles(comparison)),
        "improvement.csv": (("env", "arm", "other", *BOUNDS), _improvement(comparison)),
        "efficiency.csv": (
            ("env", "arm", "share", "threshold", "reached", "runs", "env_steps", "minutes"),
            _efficiency(comparison),
        ),
        "tasks.csv": (("tasks", "arm", "statistic", *BOUNDS), _tasks(comparison)),
        "config.csv": (("env", "key", "why", "arm", "value"), _config(comparison)),
        "runs.csv": (("run", "folder", "name", "seed", "state", "env_steps", "wall_s", "reason"), _runs(comparison)),
    }
    return {name: _written(headings, rows) for name, (headings, rows) in tables.items()}


def _results(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for one in part.evidence.arms:
            absolute = one.absolute[:3] if one.absolute else (None, None, None)
            bounds = (*one.final[:3], *one.area[:3], *absolute)
            yield part.evidence.env, one.arm.name, one.arm.partial, len(one.finals), *bounds


def _curves(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    names = {id(run): one.arm.name for part in comparison.envs for one in part.evidence.arms for run in one.arm.runs}
    for number, one in enumerate(comparison.found):
        if one.run is not None:
            run = (number, one.run.identity.env, names[id(one.run)], one.run.identity.seed)
            columns = (one.run.env_steps, one.run.gradient_steps, one.run.wall_s, one.run.returns)
            for row in zip(*(column.tolist() for column in columns), strict=True):
                yield *run, *row


def _bands(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for one in part.evidence.arms:
            for step, *bounds in zip(one.grid.tolist(), *_columns(one.band), strict=True):
                yield part.evidence.env, one.arm.name, step, *bounds


def _profiles(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for one in part.evidence.arms:
            for threshold, *bounds in zip(part.evidence.thresholds.tolist(), *_columns(one.profile), strict=True):
                yield part.evidence.env, one.arm.name, threshold, *bounds


def _improvement(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for (ours, theirs), one in part.evidence.improvement.items():
            yield part.evidence.env, ours, theirs, *_bounds(one)
    for (ours, theirs), one in comparison.tasks.improvement.items():
        yield f"all of: {' '.join(comparison.tasks.tasks)}", ours, theirs, *_bounds(one)


def _efficiency(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for one in part.sample_efficiency:
            numbers = (one.share, one.threshold, one.at.reached, one.at.runs, one.at.env_steps, one.at.minutes)
            yield part.evidence.env, one.arm, *numbers


def _tasks(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for arm, statistics in comparison.tasks.statistics.items():
        for name, one in statistics.items():
            yield " ".join(comparison.tasks.tasks), arm, name, *_bounds(one)


def _config(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for part in comparison.envs:
        for row in part.differences.keys:
            for arm, value in zip(part.differences.arms, row.values, strict=True):
                yield part.evidence.env, row.key, row.why, arm, value


def _runs(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    for number, one in enumerate(comparison.found):
        records = one.standing.records
        seed = records.identity.seed if records.identity else None
        steps, wall = records.status.env_steps, records.status.wall_s
        yield number, str(records.folder.path), records.name, seed, one.state, steps, wall, one.reason


def _headings(name: str) -> list[str]:
    return [f"{name}_{bound}" for bound in BOUNDS]


def _bounds(one: Interval) -> tuple[float, float, float]:
    return one.point, one.low, one.high


def _columns(band: Band) -> tuple[list[float], list[float], list[float]]:
    return band.point.tolist(), band.low.tolist(), band.high.tolist()


def _written(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([["" if _unknown(cell) else cell for cell in row] for row in rows])
    return text.getvalue()


def _unknown(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
