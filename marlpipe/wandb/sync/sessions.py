"""What the sessions of a run have left for W&B: one folder each, with a log that may be cut off anywhere."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_inside
from marlpipe.wandb.log import read_log, row

SESSION = re.compile(r"(?:offline-)?run-(\d{8}_\d{6}-.+)")


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One session that got as far as telling W&B which run it is."""

    path: Path
    log: Path
    run_id: str
    project: str
    entity: str  # empty: whoever is logged in
    steps: frozenset[int]  # of its rows
    summary: dict[str, Any]  # what it came to, without what is nested
    exit_code: int | None  # None of a session that was killed


@dataclass(kw_only=True)
class Fragments:
    """All sessions, in the order of their time."""

    whole: list[Fragment] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)


def find_fragments(folder: RunFolder) -> Fragments:
    """Reads every log of a run, offline or online.

    Raises:
        UserError: a link leads out of the run folder, or a log cannot be read.
    """
    found = Fragments()
    if not folder.wandb.is_dir():
        return found
    with os_errors_as_user_errors("look into", folder.wandb):
        sessions = [(match[1], path) for path in folder.wandb.iterdir() if (match := SESSION.fullmatch(path.name))]
    for _, path in sorted(sessions):
        logs = [log for log in path.glob("*.wandb") if log.is_file()] if path.is_dir() else []
        for each in (path, *logs):
            check_inside(each, folder.path)
        fragment = next(filter(None, map(_read, logs)), None)
        if fragment:
            found.whole.append(fragment)
        else:
            found.empty.append(path)
    return found


def put_aside(folder: RunFolder, empty: Sequence[Path]) -> None:
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


def _read(log: Path) -> Fragment | None:
    """None for a log that does not say which run it is, or holds what W&B does not write."""
    run, steps, exit_code = None, set(), None
    summary: dict[str, Any] = {}
    try:
        with os_errors_as_user_errors("read", log):
            for record in read_log(log):
                kind = record.WhichOneof("record_type")
                if kind == "run":
                    run = run or record.run
                elif kind == "history":
                    steps.add(int(row(record)["_step"]))
                elif kind == "summary":
                    summary.update(_told(record.summary.update))
                elif kind == "exit":
                    exit_code = record.exit.exit_code
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    if run is None:
        return None
    return Fragment(
        path=log.parent,
        log=log,
        run_id=run.run_id,
        project=run.project,
        entity=run.entity,
        steps=frozenset(steps),
        summary=summary,
        exit_code=exit_code,
    )


def _told(items: Any) -> dict[str, Any]:
    """What a record adds to the summary, without W&B's own and without what is nested, such as a picture."""
    named = {item.key or item.nested_key[0]: item for item in items if len(item.nested_key) <= 1}
    return {name: json.loads(item.value_json) for name, item in named.items() if not name.startswith("_")}
