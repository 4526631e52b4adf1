"""One history out of what all sessions of a run have left."""

import json
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import Row
from marlpipe.wandb.log import read_log, row, write_log
from marlpipe.wandb.run import NAME
from marlpipe.wandb.sync.sessions import Fragment

# what a log may ask W&B to do; what is not here is nothing that a run of ours does
KINDS = {
    *("header", "run", "environment", "telemetry", "metric", "config", "summary", "stats", "history", "output_raw"),
    *("files", "artifact"),
}


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A run as W&B should have it: what the session that came furthest told, and the rows that it could not tell."""

    folder: RunFolder
    main: Fragment
    fragments: Sequence[Fragment]
    rows: Sequence[dict[str, float]]  # of the run's own log; none where it has no such log
    exit_code: int

    @property
    def steps(self) -> list[int]:
        """The `_step` of every row: its number in the run's own log."""
        return list(range(len(self.rows))) if self.rows else sorted(set().union(*(one.steps for one in self.fragments)))

    @property
    def summary(self) -> dict[str, Any]:
        """Numbers and texts that the run has in W&B's table of runs, at least."""
        untold = len(self.rows) and len(self.rows) - 1 not in self.main.steps
        last: dict[str, Any] = self.rows[-1] if untold else {}
        return {**self.main.summary, **last}

    @property
    def states(self) -> Sequence[str]:
        """Those that W&B may have it in, the best first; it knows a run that was killed as crashed."""
        return ("failed", "crashed", "killed") if self.exit_code else ("finished",)

    def write(self, into: Path, *, first: int, project: str | None, entity: str | None) -> list[str]:
        """Makes a session of its own, for W&B to take, with the rows from a step on.

        W&B numbers its rows on from where it thinks that the run was, which is wrong after an upload that broke off; or
        from what a file beside the log says.

        Args:
            into: a new folder, beside which nothing is written.
            first: the `_step` of the first row that W&B lacks.
            project, entity: to send it to, if not what the run says.

        Returns:
            What could not be taken along, for the user.

        Raises:
            UserError: a file cannot be read or written.
        """
        with os_errors_as_user_errors("write", into):
            (into / "files").mkdir(parents=True)
            begins = {"starting_step": first, "starting_runtime": 0}
            (into / "run.wandb.syncstate").write_text(json.dumps(begins), encoding="utf-8")
            lost: list[str] = []
            write_log(into / "run.wandb", self._records(into, first, project, entity, lost))
        return lost

    def _records(
        self, into: Path, first: int, project: str | None, entity: str | None, lost: list[str]
    ) -> Iterator[Any]:
        wanted = {step for step in self.steps if step >= first}
        untold = deque(sorted(wanted - self.main.steps) if self.rows else ())
        for record in read_log(self.main.log):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                record.run.project, record.run.entity = project or record.run.project, entity or record.run.entity
                for name in ("settings", "sweep_id", "branch_point", "forked"):
                    record.run.ClearField(name)
            elif kind == "history":
                step = row(record)["_step"]
                if step not in wanted:
                    continue
                while untold and untold[0] < step:
                    yield self._untold(untold.popleft())
            elif kind == "files":
                _take_files(record.files.files, self.main.path / "files", into / "files", self.folder)
            elif kind == "artifact":
                told = record.artifact
                told.project, told.entity = project or told.project, entity or told.entity
                if not _take_artifact(told, into / "staging", self.folder):
                    lost.append(f"artifact {told.name}: its files are not in the run folder")
                    continue
            if kind in KINDS:
                yield record
        yield from map(self._untold, untold)
        if untold:
            yield Record(summary={"update": _items(self.rows[untold[-1]])})
        yield Record(exit={"exit_code": self.exit_code})

    def _untold(self, step: int) -> Any:
        """A row that the session did not tell, since the run was killed before, or W&B had it then."""
        own = {"_step": step, "_timestamp": self.folder.metrics.stat().st_mtime}
        return Record(history={"item": _items({**own, **self.rows[step]}), "step": {"num": step}})


def joined(folder: RunFolder, fragments: Sequence[Fragment]) -> Joined:
    """Out of the fragments of one W&B run, in the order of their time; at least one.

    Raises:
        UserError: the run's own files cannot be read, or what it is called cannot be a name in W&B.
    """
    rows, status = folder.read_metrics(), folder.status
    end = len(rows) if rows else float("inf")  # rows past that are of before a restart, which made them anew
    main = max(reversed(fragments), key=lambda one: max((step for step in one.steps if step < end), default=-1))
    for name in (main.run_id, main.project, *filter(None, [main.entity])):
        if not NAME.fullmatch(name):
            raise UserError(f"{main.log} says that W&B knows it as {name!r:.80}, which is no name there.")
    told = main.exit_code if main.exit_code is not None else 1
    exit_code = 0 if status.state == "finished" else (told or 1) if status.ended else told
    return Joined(folder=folder, main=main, fragments=fragments, rows=rows, exit_code=exit_code)


def _items(values: Row) -> list[dict[str, Any]]:
    return [{"nested_key": [name], "value_json": json.dumps(value)} for name, value in values.items()]


def _take_files(items: Any, files: Path, into: Path, folder: RunFolder) -> None:
    """Copies the files that a record names, and strikes out those that are none of the session's."""
    kept = [item for item in items if _is_own(files / item.path, files, folder)]
    for item in kept:
        copy = into / (files / item.path).relative_to(files)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / item.path, copy)
    del items[:]
    items.extend(kept)


def _take_artifact(artifact: Any, into: Path, folder: RunFolder) -> bool:
    """Copies what an artifact holds; False if not all of it is where W&B stages it in a run folder.

    The record has the path that a file had on the machine that trained the run. It is not believed.
    """
    staging = folder.wandb / "data" / "artifacts" / "staging"
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
    """Whether a path is a file below a folder of the run, reached without links."""
    if not path.is_relative_to(below) or ".." in path.relative_to(below).parts:
        return False
    return path.is_file() and path.resolve() == folder.path.resolve() / path.relative_to(folder.path)
