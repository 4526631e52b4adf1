"""Merges the sessions of a run into the one history that W&B should have."""

import json
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import Row
from marlpipe.wandb.log import LogReader, row, write_log
from marlpipe.wandb.own_settings import settings
from marlpipe.wandb.private_api import STAGING, SYNC_STATE, Record
from marlpipe.wandb.run import NAME
from marlpipe.wandb.stored_logger import code_may_be_sent, is_open, stored_logger
from marlpipe.wandb.sync.sessions import Session

# the kinds of records that a run of marlpipe writes; others in a log are not sent
KINDS = {
    *("header", "run", "environment", "telemetry", "metric", "config", "summary", "stats", "history", "output_raw"),
    *("files", "artifact"),
}


@dataclass(frozen=True, kw_only=True)
class MergedHistory:
    """A run as W&B should have it: the records of the session with the last row, and the rows that it lacks."""

    folder: RunFolder
    main: Session  # the session with the last row
    sessions: Sequence[Session]
    rows: Sequence[dict[str, float]]  # of metrics.jsonl; empty where there is no such file
    exit_code: int

    @property
    def steps(self) -> list[int]:
        """The `_step` of every row: its number in metrics.jsonl."""
        return list(range(len(self.rows))) if self.rows else sorted(set().union(*(one.steps for one in self.sessions)))

    @property
    def summary(self) -> dict[str, Any]:
        """Numbers and texts that W&B's table of runs must have for the run."""
        lacks_last = len(self.rows) and len(self.rows) - 1 not in self.main.steps
        last: dict[str, Any] = self.rows[-1] if lacks_last else {}
        return {**self.main.summary, **last}

    @property
    def states(self) -> Sequence[str]:
        """The states that W&B may show, the expected one first; it shows a killed run as crashed."""
        return ("failed", "crashed", "killed") if self.exit_code else ("finished",)

    def write(self, into: Path, *, first: int, project: str | None, entity: str | None) -> list[str]:
        """Writes a session folder for `wandb sync`, with the rows from a step on.

        W&B continues its numbering from its own count, which is wrong after an interrupted upload, unless a file next
        to the log gives the first step.

        Args:
            into: a new folder; nothing is written outside it.
            first: the `_step` of the first row that W&B lacks.
            project, entity: the destination, if not that of the main session.

        Returns:
            Messages for the user on what is missing from the session.

        Raises:
            UserError: a file cannot be read or written.
        """
        with os_errors_as_user_errors("write", into):
            (into / "files").mkdir(parents=True)
            begins = {"starting_step": first, "starting_runtime": 0}
            (into / f"run.wandb{SYNC_STATE}").write_text(json.dumps(begins), encoding="utf-8")
            lost: list[str] = []
            write_log(into / "run.wandb", self._records(into, first, project, entity, lost))
        return lost

    def _records(
        self, into: Path, first: int, project: str | None, entity: str | None, lost: list[str]
    ) -> Iterator[Any]:
        wanted = {step for step in self.steps if step >= first}
        missing = deque(sorted(wanted - self.main.steps) if self.rows else ())
        project, entity = project or self.main.project, entity or self.main.entity
        with_code = code_may_be_sent(self.folder)
        for record in LogReader(self.main.log):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                record.run.project, record.run.entity = project, entity
                for name in ("settings", "sweep_id", "branch_point", "forked"):
                    record.run.ClearField(name)
            elif kind == "history":
                step = row(record)["_step"]
                if step not in wanted:
                    continue
                while missing and missing[0] < step:
                    yield self._missing_row(missing.popleft())
            elif kind == "files":
                if not with_code:
                    _leave_out(record.files.files, f"marlpipe/{self.folder.code_diff.name}")
                _copy_files(record.files.files, self.main.path / "files", into / "files", self.folder)
            elif kind == "artifact":
                artifact = record.artifact
                if artifact.type == "code" and not with_code:
                    continue
                artifact.project, artifact.entity = project, entity
                if not _copy_artifact(artifact, into / "staging", self.folder):
                    lost.append(f"artifact {artifact.name}: its files are not in the run folder")
                    continue
            if kind in KINDS:
                yield record
        yield from map(self._missing_row, missing)
        if missing:
            yield Record(summary={"update": _items(self.rows[missing[-1]])})
        yield Record(exit={"exit_code": self.exit_code})

    def _missing_row(self, step: int) -> Any:
        """A row of metrics.jsonl that the session lacks: the run was killed first, or W&B had the row already."""
        own = {"_step": step, "_timestamp": self.folder.metrics.stat().st_mtime}
        return Record(history={"item": _items({**own, **self.rows[step]}), "step": {"num": step}})


def merge_sessions(folder: RunFolder, sessions: Sequence[Session]) -> MergedHistory:
    """Merges the sessions of one W&B run, at least one, in the order of their time.

    Where the config leaves project or entity open, W&B's own settings of today come before those of then.

    Raises:
        UserError: the run's files cannot be read, or its project, entity or id is no valid name in W&B.
    """
    rows, status = folder.read_metrics(), folder.status
    end = len(rows) if rows else float("inf")  # later rows predate a resume, which repeated them
    main = max(reversed(sessions), key=lambda one: max((step for step in one.steps if step < end), default=-1))
    logger, today = stored_logger(folder), settings()
    main = replace(
        main,
        project=(is_open(logger, "project") and today.project) or main.project,
        entity=(is_open(logger, "entity") and today.entity) or main.entity,
    )
    for name in (main.run_id, main.project, *filter(None, [main.entity])):
        if not NAME.fullmatch(name):
            raise UserError(f"{main.log} has the name {name!r:.80}, which W&B does not allow.")
    logged = main.exit_code if main.exit_code is not None else 1
    exit_code = 0 if status.state == "finished" else (logged or 1) if status.ended else logged
    return MergedHistory(folder=folder, main=main, sessions=sessions, rows=rows, exit_code=exit_code)


def _items(values: Row) -> list[dict[str, Any]]:
    return [{"nested_key": [name], "value_json": json.dumps(value)} for name, value in values.items()]


def _leave_out(items: Any, name: str) -> None:
    """Removes a file from a record."""
    kept = [item for item in items if item.path != name]
    del items[:]
    items.extend(kept)


def _copy_files(items: Any, files: Path, into: Path, folder: RunFolder) -> None:
    """Copies the files that a record names, and removes those from it that are not in the session's folder."""
    kept = [item for item in items if _is_own(files / item.path, files, folder)]
    for item in kept:
        copy = into / (files / item.path).relative_to(files)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / item.path, copy)
    del items[:]
    items.extend(kept)


def _copy_artifact(artifact: Any, into: Path, folder: RunFolder) -> bool:
    """Copies the files of an artifact; False if one is missing from W&B's staging folder in the run folder.

    The record has each file's path on the machine that trained the run, of which only the name is used.
    """
    staging = folder.wandb / STAGING
    if artifact.manifest.manifest_file_path:
        return False
    for entry in artifact.manifest.contents:
        if entry.local_path:
            source = staging / Path(entry.local_path).name
            if not _is_own(source, staging, folder):
                return False
            into.mkdir(exist_ok=True)
            copy = into / str(sum(1 for _ in into.iterdir()))
            shutil.copyfile(source, copy)
            entry.local_path = str(copy)
    return True


def _is_own(path: Path, below: Path, folder: RunFolder) -> bool:
    """Whether a path is a file below a folder of the run, without links on the way."""
    if not path.is_relative_to(below) or ".." in path.relative_to(below).parts:
        return False
    return path.is_file() and path.resolve() == folder.path.resolve() / path.relative_to(folder.path)
