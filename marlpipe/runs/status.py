"""The status of a run, as in its status file."""

from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from marlpipe.errors import UserError
from marlpipe.runs.text import printable

State = Literal["queued", "running", "finished", "failed", "interrupted"]
Number = float | int  # JSON does not tell them apart

LARGEST = 2**63 - 1  # fits into 64 bits, for every reader
WORDS = {int: "a whole number", float: "a number", str: "text", NoneType: "null"}


@dataclass(frozen=True, kw_only=True)
class Status:
    """State, progress, speed and time left of a run. Numbers that are unknown so far are None."""

    state: State = "queued"
    env_steps: int = 0
    total_env_steps: int | None = None
    env_steps_per_s: Number | None = None
    eval_return: Number | None = None  # mean return of the last evaluation
    eta_s: Number | None = None
    wall_s: Number | None = None  # over all sessions of the run
    reason: str | None = None  # why it failed or was interrupted
    pid: int | None = None
    host: str | None = None
    job: str | None = None  # the Slurm job that it runs in, as squeue names it
    grid: str | None = None  # the lock of the process that is to start it, see `runs/grid.py`
    updated: str | None = None  # ISO 8601, UTC

    @property
    def ended(self) -> bool:
        """Whether the run is no longer running, for any reason."""
        return self.state in ("finished", "failed", "interrupted")


def status_from(stored: Any, path: Path) -> Status:
    """The status in a file's content; the initial status for None. Unknown keys are ignored.

    Args:
        stored: as read from JSON.
        path: of the file, for messages.

    Raises:
        UserError: it is no object, or a value is not what the key can have.
    """
    if stored is None:
        return Status()
    if not isinstance(stored, dict):
        raise UserError(f"{path} holds no JSON object.\n  Restore the file, or remove it.")
    values: dict[str, Any] = {}
    for name, kind in ((field.name, field.type) for field in fields(Status) if field.name in stored):
        value = stored[name]
        if not _fits(value, kind):
            raise UserError(
                f"{path}: {name} cannot be {value!r:.80}.\n  valid: {_words(kind)}\n  Restore the file, or remove it."
            )
        values[name] = printable(value) if isinstance(value, str) else value
    return Status(**values)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    in_range = not isinstance(value, int | float) or -LARGEST <= value <= LARGEST  # NaN is not
    return in_range and type(value) in _kinds(kind)


def _kinds(kind: Any) -> tuple[type, ...]:
    return get_args(kind) or (kind,)


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    kinds = [one for one in _kinds(kind) if one is not int or float not in _kinds(kind)]
    return " or ".join(WORDS[one] for one in kinds)
