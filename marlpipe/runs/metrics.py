"""Append-only logs of a run: one JSON object per line, complete lines even if the writing process is killed."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors, write_text

EVAL_RETURN = "eval/return_mean"  # of the team, over the episodes of an evaluation

Row = Mapping[str, float | int]
TableRow = Mapping[str, Any]  # env_steps, and nested lists of numbers

WALL_CLOCK_METRICS = frozenset({"wall_s", "time/env_steps_per_s"})  # differ between any two runs


class RowLog:
    """A JSONL file and the number of rows in it. Every row is appended here, so every row is counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: int | None = None  # read from the file at the first use

    @property
    def rows(self) -> int:
        """How many whole rows the file has.

        Raises:
            UserError: as `read_rows`.
        """
        if self._rows is None:
            self._rows = sum(1 for _ in _rows(self.path, _numbers)) if self.path.is_file() else 0  # a device has no end
        return self._rows

    def append(self, row: Row | TableRow) -> int:
        """Adds one row as `append_row` does, and returns its number, from 0."""
        number = self.rows
        append_row(self.path, row)
        self._rows = number + 1
        return number

    def truncate(self, keep: int) -> None:
        """Drops the rows past the first `keep`, as `truncate_rows` does."""
        truncate_rows(self.path, keep)
        self._rows = keep


def append_row(path: Path, row: Row | TableRow) -> None:
    """Adds one row in one write, flushed to the operating system. NaN and infinities become null: the file stays JSON.

    Raises:
        UserError: the file cannot be written, or the disk is full.
    """
    line = json.dumps(_finite(row), allow_nan=False) + "\n"
    with os_errors_as_user_errors("write", path), path.open("a", encoding="utf-8") as file:
        file.write(line)


def read_rows(path: Path) -> list[dict[str, float]]:
    """All rows, with null as NaN. An unfinished last line, which a killed process can leave, is ignored.

    Raises:
        UserError: an earlier line is not a JSON object, or the file cannot be read.
    """
    return [row for _, row in _rows(path, _number)]


def read_tables(path: Path) -> list[dict[str, Any]]:
    """All rows of tables, as `read_rows` does."""
    return [row for _, row in _rows(path, _numbers)]


def truncate_rows(path: Path, keep: int) -> int:
    """Drops the rows past a checkpoint, and an unfinished last line; a resumed run then writes them again.

    Args:
        path: the log.
        keep: the number of rows at the checkpoint; they stay byte for byte.

    Returns:
        The number of complete rows that were dropped.

    Raises:
        UserError: there are fewer rows.
    """
    lines = [line for line, _ in _rows(path, _numbers)]
    if len(lines) < keep:
        raise UserError(
            f"{path} has {len(lines)} rows, and had {keep} when the checkpoint was made\n"
            "  Restore it; or, to train anew, delete the run's folder and issue the same command again."
        )
    if path.exists():
        write_text(path, "".join(f"{line}\n" for line in lines[:keep]))
    return len(lines) - keep


def _rows(path: Path, parse: Callable[[Any], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    with os_errors_as_user_errors("read", path):
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    whole = text.split("\n")[:-1]  # a row ends in a newline; the rest is an unfinished row
    for number, line in enumerate(whole, start=1):
        try:
            row = {name: parse(value) for name, value in json.loads(line).items()}
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"line {number} of {path} is not a row of metrics: {line[:60]!r}\n  Remove that line, then try again."
            ) from error
        yield line, row


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return value if math.isfinite(value) else None


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return _number(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
