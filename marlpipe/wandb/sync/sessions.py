"""The W&B sessions of a run: a folder per process that trained it, with a log that may be cut off or damaged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_inside
from marlpipe.runs.text import printable
from marlpipe.wandb.log import LogReader, row
from marlpipe.wandb.private_api import SESSION


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session whose log says which W&B run it belongs to."""

    path: Path
    log: Path
    run_id: str
    project: str
    entity: str  # empty: that of the login
    steps: frozenset[int]  # the `_step` of each of its rows
    summary: dict[str, Any]  # without nested values
    exit_code: int | None  # None of a killed session
    damaged: int  # blocks and records that could not be read


@dataclass(kw_only=True)
class Sessions:
    """All sessions of a run folder, in the order of their time."""

    readable: list[Session] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)  # killed before W&B had written anything
    unreadable: list[str] = field(default_factory=list)  # the reason for each


def find_sessions(folder: RunFolder) -> Sessions:
    """Reads the log of every session, offline or online.

    Raises:
        UserError: a link leads out of the run folder, or a log cannot be read.
    """
    found = Sessions()
    for path, logs in _logs(folder):
        results = [_read(log) for log in logs]
        session = next((result for result in results if isinstance(result, Session)), None)
        reasons = [result for result in results if isinstance(result, str)]
        if session:
            found.readable.append(session)
        elif reasons:
            found.unreadable.extend(reasons)
        else:
            found.empty.append(path)
    return found


def recorded_destination(folder: RunFolder) -> tuple[str, str] | None:
    """Project and entity, which is empty for that of the login, as the newest session says that has a readable log.

    Raises:
        UserError: as `find_sessions`.
    """
    for _, logs in reversed(_logs(folder)):
        for log in logs:
            with os_errors_as_user_errors("read", log):
                run = next((one.run for one in LogReader(log) if one.WhichOneof("record_type") == "run"), None)
            if run is not None:
                return run.project, run.entity
    return None


def move_empty_sessions(folder: RunFolder, empty: Sequence[Path]) -> None:
    """Moves sessions into `wandb/empty`, where W&B's own tools do not find them. UserError where the disk refuses."""
    aside = folder.wandb / "empty"
    check_inside(aside, folder.path)
    for path in empty:
        target, number = aside / path.name, 1
        while target.exists():
            target, number = aside / f"{path.name}.{number}", number + 1
        with os_errors_as_user_errors("move", path):
            aside.mkdir(exist_ok=True)
            path.rename(target)


def _logs(folder: RunFolder) -> list[tuple[Path, list[Path]]]:
    """The folder of each session with the logs in it, in the order of their time. Errors as `find_sessions`."""
    if not folder.wandb.is_dir():
        return []
    with os_errors_as_user_errors("look into", folder.wandb):
        sessions = [(match[1], path) for path in folder.wandb.iterdir() if (match := SESSION.fullmatch(path.name))]
    found = []
    for _, path in sorted(sessions):
        logs = [log for log in path.glob("*.wandb") if log.is_file()] if path.is_dir() else []
        for each in (path, *logs):
            check_inside(each, folder.path)
        found.append((path, logs))
    return found


def _read(log: Path) -> Session | str | None:
    """None for an empty log; the reason for one that cannot be read."""
    reader = LogReader(log)
    run, steps, exit_code = None, set(), None
    summary: dict[str, Any] = {}
    try:
        with os_errors_as_user_errors("read", log):
            for record in reader:
                kind = record.WhichOneof("record_type")
                if kind == "run":
                    run = run or record.run
                elif kind == "history":
                    steps.add(int(row(record)["_step"]))
                elif kind == "summary":
                    summary.update(_flat_values(record.summary.update))
                elif kind == "exit":
                    exit_code = record.exit.exit_code
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        return f"{log} has a record that is not W&B's: {type(error).__name__}: {printable(str(error), keep='')}"
    if run is None:
        return f"{log} is damaged where it names its run" if reader.damaged else None
    return Session(
        path=log.parent,
        log=log,
        run_id=run.run_id,
        project=run.project,
        entity=run.entity,
        steps=frozenset(steps),
        summary=summary,
        exit_code=exit_code,
        damaged=reader.damaged,
    )


def _flat_values(items: Any) -> dict[str, Any]:
    """The values that a record adds to the summary, without W&B's own and nested ones, such as pictures."""
    named = {item.key or item.nested_key[0]: item for item in items if len(item.nested_key) <= 1}
    return {name: json.loads(item.value_json) for name, item in named.items() if not name.startswith("_")}
