"""Results: every repetition, with machine and commit, as one JSON file."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors, read_json, write_json
from marlpipe.runs.provenance import git, hardware, versions

FOLDER = Path(__file__).parent / "results"
Unit = Literal["s", "B"]


@dataclass(frozen=True)
class Series:
    """The repetitions of one `Measurement`, with its fields."""

    costs: Sequence[float]
    beside: Mapping[str, str]
    amount: float
    unit: Unit
    remark: str

    @property
    def per_amount(self) -> list[float]:
        return [cost / self.amount for cost in self.costs]

    @property
    def median(self) -> float:
        return median(self.costs)

    @property
    def least(self) -> float:
        return min(self.costs)


@dataclass(frozen=True)
class Outcome:
    """The results of a section."""

    title: str
    counted: str | None
    series: Mapping[str, Series]

    def ratios(self, name: str, heading: str) -> list[float]:
        """Cost per amount divided by that of the measurement under `heading`, in each round."""
        ours, other = self.series[name], self.series[self.series[name].beside[heading]]
        return [a / b for a, b in zip(ours.per_amount, other.per_amount, strict=True)]


@dataclass(frozen=True)
class Results:
    """One run of the benchmark. `machine` is the value of `described`."""

    threads: int
    machine: Mapping[str, Any]
    sections: Mapping[str, Outcome]

    def write(self, file: Path) -> None:
        """Writes the JSON file. UserError where the disk refuses."""
        with os_errors_as_user_errors("make the folder", file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(self))


def described() -> dict[str, Any]:
    """Hardware, versions, commit and date, without the host's name."""
    installed = versions()
    return {
        "hardware": {name: value for name, value in hardware().items() if name != "host"},
        "versions": {name: installed[name] for name in ("marlpipe", "torch", "numpy", "lightning")},
        "git": git(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def new_file(folder: Path, threads: int) -> Path:
    """The path of a new file, named after time and threads."""
    return folder / f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}-threads{threads}.json"


def read(file: Path) -> Results:
    """Reads a file of results. UserError if it is missing or was not written by this benchmark."""
    stored = read_json(file)
    try:
        return parsed(stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is missing, or has no results of this benchmark.\n  valid: a file that `make bench` wrote"
        ) from error


def parsed(stored: Any) -> Results:
    """The results that a JSON file stores."""
    sections = {
        name: Outcome(**{**outcome, "series": {key: Series(**series) for key, series in outcome["series"].items()}})
        for name, outcome in stored["sections"].items()
    }
    return Results(threads=stored["threads"], machine=stored["machine"], sections=sections)


def last_committed(threads: int, folder: Path = FOLDER) -> Path | None:
    """The newest file of this many threads in git's last commit; None if there is none."""
    try:
        listed = subprocess.run(
            ["git", "ls-tree", "--name-only", "HEAD", "./"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    named = [name for name in listed.split() if name.startswith("bench-") and name.endswith(f"-threads{threads}.json")]
    return folder / max(named) if named else None
