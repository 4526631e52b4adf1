"""The data that the page's script draws, as compact JSON: equal arrays and equal config lines are stored once."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.page.evidence import ArmEvidence, EnvEvidence
from marlpipe.analysis.page.found_runs import FoundRun
from marlpipe.analysis.page.pictures import Album
from marlpipe.analysis.run_config import config_text
from marlpipe.analysis.statistics.bootstrap import Band
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.text import printable

DIGITS = 5  # significant digits: more are invisible in a plot
LONGEST_COMMAND, LONGEST_REASON = 4000, 2000  # characters
Json = Any


class UniqueValues:
    """A list without duplicates; values are referred to by their index."""

    def __init__(self) -> None:
        self.values: list[Json] = []
        self._index: dict[Json, int] = {}

    def index(self, value: Json) -> int:
        """The index of a hashable value, which is added if it is new; a tuple becomes a JSON array."""
        if value not in self._index:
            self._index[value] = len(self.values)
            self.values.append(value)
        return self._index[value]


class PageData:
    """A comparison in the form that the page's script reads; arms, runs and arrays are referred to by index."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.arrays, self.lines, self.album = UniqueValues(), UniqueValues(), Album()
        self.numbers = {id(one.run): number for number, one in enumerate(comparison.found) if one.run is not None}
        self.arms = {name: number for number, name in enumerate(comparison.arms)}

    def document(self) -> dict[str, Json]:
        """The JSON document."""
        envs = [self._env(part.evidence) for part in self.comparison.envs]
        runs = [self._run(one) for one in self.comparison.found]
        tasks = self.comparison.tasks
        return {
            "arms": list(self.arms),
            "envs": envs,
            "runs": runs,
            "tasks": {
                "thresholds": numbers(tasks.thresholds),
                "profiles": [[self.arms[name], *_bands(band)] for name, band in tasks.profiles.items()],
            },
            "arrays": self.arrays.values,
            "lines": self.lines.values,
        }

    def _env(self, env: EnvEvidence) -> dict[str, Json]:
        return {
            "name": env.env,
            "thresholds": numbers(env.thresholds),
            "arms": [self._arm(one) for one in env.arms],
        }

    def _arm(self, one: ArmEvidence) -> dict[str, Json]:
        return {
            "arm": self.arms[one.arm.name],
            "few": one.few,
            "partial": one.arm.partial,
            "runs": [self.numbers[id(run)] for run in one.arm.counted],
            "finals": numbers(one.finals),
            "interval": numbers([one.final.point, one.final.low, one.final.high]),
            "x": [numbers(one.grid), *(numbers(axis) for axis in _other_axes(one))],
            "band": _bands(one.band),
            "profile": _bands(one.profile),
        }

    def _run(self, one: FoundRun) -> dict[str, Json]:
        records = one.standing.records
        shown: dict[str, Json] = {
            "name": records.name,
            "seed": records.identity.seed if records.identity else None,
            "state": one.state,
            "reason": (one.reason or "")[:LONGEST_REASON],
            "folder": printable(str(records.folder.path), keep=""),
            "command": printable(records.command or "", keep="")[:LONGEST_COMMAND],
        }
        if one.run is None:
            return shown
        return {**shown, **self._curve(one.run), **self._origin(one.run.folder, one.record)}

    def _curve(self, run: Run) -> dict[str, Json]:
        return {
            "x": [self._array(run.env_steps), self._array(run.gradient_steps), self._array(run.wall_s)],
            "y": numbers(run.returns),
        }

    def _origin(self, folder: RunFolder, record: Mapping[str, Any]) -> dict[str, Json]:
        git = record.get("git") or {}
        try:
            config = config_text(folder)
        except UserError as error:
            config = printable(str(error))
        return {
            "commit": printable(str(git.get("commit") or ""), keep="")[:80],
            "dirty": bool(git.get("dirty")),
            "config": [self.lines.index(line) for line in config.rstrip("\n").split("\n")],
            "pictures": [[picture.name, picture.source] for picture in self.album.of(folder)],
        }

    def _array(self, values: Shaped[np.ndarray, " _"]) -> int:
        return self.arrays.index(tuple(numbers(values)))


def as_json(document: dict[str, Json]) -> str:
    """JSON for a script element, escaped so that it cannot close the element or open a tag or comment."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def numbers(values: Sequence[float] | Shaped[np.ndarray, " _"]) -> list[float | int | None]:
    """Rounded to `DIGITS` significant digits, integers unchanged; null for values that are not finite."""
    return [_short(value) for value in np.asarray(values, dtype=np.float64).tolist()]


def _short(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


def _bands(band: Band) -> list[list[float | int | None]]:
    return [numbers(band.point), numbers(band.low), numbers(band.high)]


def _other_axes(one: ArmEvidence) -> list[Float[np.ndarray, " G"]]:
    """Mean gradient steps and mean seconds of the arm's runs at the env steps of the band."""
    runs = one.arm.counted
    if not runs:
        return [np.array([]), np.array([])]
    return [
        np.mean([np.interp(one.grid, run.env_steps, run.gradient_steps) for run in runs], axis=0),
        np.mean([np.interp(one.grid, run.env_steps, run.wall_s) for run in runs], axis=0),
    ]
