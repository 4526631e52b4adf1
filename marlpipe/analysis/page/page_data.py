"""The numbers that the page draws from, as compact JSON: every array, and every line of a config, stands there once."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.page.config_differences import config_text
from marlpipe.analysis.page.evidence import ArmEvidence, EnvEvidence
from marlpipe.analysis.page.found_runs import Found
from marlpipe.analysis.page.pictures import Album
from marlpipe.analysis.statistics.bootstrap import Band
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.text import printable

DIGITS = 5  # of a number: more cannot be seen
LONGEST_COMMAND, LONGEST_REASON = 4000, 2000  # letters
Json = Any


class Pool:
    """Values that are told apart by what they are; each is kept once, and known by its place."""

    def __init__(self) -> None:
        self.values: list[Json] = []
        self.places: dict[Json, int] = {}

    def place(self, value: Json) -> int:
        """Of a value that can be hashed; a tuple is a JSON array."""
        if value not in self.places:
            self.places[value] = len(self.values)
            self.values.append(value)
        return self.places[value]


class Embedding:
    """Turns a comparison into what the page's script reads. Arms, runs and arrays are named by their numbers."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.arrays, self.lines, self.album = Pool(), Pool(), Album()
        self.numbers = {id(one.run): number for number, one in enumerate(comparison.found) if one.run is not None}
        self.arms = {name: number for number, name in enumerate(comparison.arms)}

    def document(self) -> dict[str, Json]:
        """The whole of it."""
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
            "x": [numbers(one.grid), *(numbers(clock) for clock in _usual(one))],
            "band": _bands(one.band),
            "profile": _bands(one.profile),
        }

    def _run(self, one: Found) -> dict[str, Json]:
        told = one.standing.records
        shown: dict[str, Json] = {
            "name": told.name,
            "seed": told.identity.seed if told.identity else None,
            "state": one.state,
            "reason": (one.reason or "")[:LONGEST_REASON],
            "folder": printable(str(told.folder.path), keep=""),
            "command": printable(told.command or "", keep="")[:LONGEST_COMMAND],
        }
        if one.run is None:
            return shown
        return {**shown, **self._curve(one.run), **self._origin(one.run.folder, one.record)}

    def _curve(self, run: Run) -> dict[str, Json]:
        return {
            "x": [self._place(run.env_steps), self._place(run.gradient_steps), self._place(run.wall_s)],
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
            "config": [self.lines.place(line) for line in config.rstrip("\n").split("\n")],
            "pictures": [[picture.name, picture.source] for picture in self.album.of(folder)],
        }

    def _place(self, values: Shaped[np.ndarray, " _"]) -> int:
        return self.arrays.place(tuple(numbers(values)))


def as_json(document: dict[str, Json]) -> str:
    """JSON that can stand inside a script element: nothing in it can end that, or begin a comment or a tag."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def numbers(values: Sequence[float] | Shaped[np.ndarray, " _"]) -> list[float | int | None]:
    """Rounded to `DIGITS`, whole ones as they are; null for what is not finite."""
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


def _usual(one: ArmEvidence) -> list[Float[np.ndarray, " G"]]:
    """Where the arm's runs are, on average, in gradient steps and seconds when they are at the band's env steps."""
    runs = one.arm.counted
    if not runs:
        return [np.array([]), np.array([])]
    return [
        np.mean([np.interp(one.grid, run.env_steps, run.gradient_steps) for run in runs], axis=0),
        np.mean([np.interp(one.grid, run.env_steps, run.wall_s) for run in runs], axis=0),
    ]
