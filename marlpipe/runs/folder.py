"""The run folder: the paths of a run's files, and how they are read and written."""

import math
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import (
    flush_to_disk,
    os_errors_as_user_errors,
    overwrite_json,
    read_json,
    write_json,
    write_text,
)
from marlpipe.runs.metrics import Row, RowLog, TableRow, read_rows, read_tables
from marlpipe.runs.status import State, Status, status_from

PICTURES = (".gif", ".png")


class RunFolder:
    """The files of one run, by name. The constructor touches no file; `create` makes the folder.

    Every method raises `UserError`, with the path and the next step, where the disk refuses. All rows of metrics and
    tables go through one object of this class in the process that trains, which counts them.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._metrics, self._tables = RowLog(self.metrics), RowLog(self.tables)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def create(self) -> "RunFolder":
        """Makes the folder and its checkpoint folder; existing files stay."""
        with os_errors_as_user_errors("make the run folder", self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def config(self) -> Path:
        """The resolved task config."""
        return self.path / "config.yaml"

    @property
    def run(self) -> Path:
        """The run's identity and provenance: command, overrides, choices, seed, arm, versions, hardware, sessions."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """Rows of scalars, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def tables(self) -> Path:
        """Rows of vectors and tables, such as histograms and learned payoffs."""
        return self.path / "tables.jsonl"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before the last, in case that one is damaged."""
        return self.checkpoints / "previous.ckpt"

    @property
    def final_state(self) -> Path:
        """All parameters of a finished run."""
        return self.checkpoints / "final.pt"

    @property
    def fingerprint(self) -> Path:
        """Hashes of a finished run's final state and logs."""
        return self.path / "fingerprint.json"

    @property
    def best_policy(self) -> Path:
        return self.checkpoints / "best.pt"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def submission(self) -> Path:
        """The cluster job that was asked to train the run, written by the submitting process."""
        return self.path / "submission.json"

    @property
    def code_diff(self) -> Path:
        """Uncommitted changes of the code, as a patch."""
        return self.path / "code.diff"

    @property
    def console(self) -> Path:
        """What the run printed, where it had no terminal."""
        return self.path / "console.log"

    @property
    def pictures(self) -> Path:
        """Films and tables of evaluations."""
        return self.path / "pictures"

    def picture(self, name: str, env_steps: int, kind: str) -> Path:
        """The path of an evaluation's picture; `kind` is a suffix, one of `PICTURES`."""
        return self.pictures / f"{name}_{env_steps:09d}{kind}"

    def pictures_at(self, env_steps: int) -> list[Path]:
        """The pictures of the evaluation at `env_steps`, sorted by name; links are not followed."""
        ending = self.picture("", env_steps, "").name
        with os_errors_as_user_errors("look into", self.pictures):
            if self.pictures.is_symlink() or not self.pictures.is_dir():
                return []
            files = [file for file in self.pictures.iterdir() if file.is_file() and not file.is_symlink()]
        found = [file for file in files if file.suffix in PICTURES and file.stem.endswith(ending)]
        return sorted(file for file in found if not file.name.startswith("."))  # hidden: unfinished

    @property
    def wandb(self) -> Path:
        return self.path / "wandb"

    @property
    def wandb_id(self) -> Path:
        return self.path / "wandb_id.txt"

    @property
    def status(self) -> Status:
        """The status file's content; the initial status where there is none. Unknown keys are ignored."""
        return status_from(read_json(self.status_file), self.status_file)

    def update_status(self, **changes: Any) -> Status:
        """Changes some fields of the status file, and its time, in an atomic write. NaN and infinities become null.

        Raises:
            TypeError: a change that is no field of `Status`.
        """
        status = replace(self.status, updated=datetime.now(UTC).isoformat(timespec="seconds"), **changes)
        write_json(self.status_file, {name: _finite(value) for name, value in asdict(status).items()})
        return status

    def record_end(self, state: State, reason: str, log: str | None = None) -> None:
        """Records how an unfinished run ended. Raises nothing: a disk error must not hide the run's own error.

        Args:
            state: "interrupted" or "failed".
            reason: one message for the user.
            log: a traceback for `error.log`.
        """
        try:
            self.update_status(state=state, reason=reason)
        except UserError:  # no room for a second file: write into the old one
            with suppress(OSError):
                overwrite_json(self.status_file, {**asdict(self.status), "state": state, "reason": reason})
        if log is not None:
            with suppress(UserError):
                write_text(self.path / "error.log", log)

    def append_metrics(self, row: Row) -> int:
        """Adds one row to the metrics and returns its number, from 0. A crash of the process no longer loses it."""
        return self._metrics.append(row)

    def read_metrics(self) -> list[dict[str, float]]:
        """All complete rows of the metrics; none where there is no file."""
        return read_rows(self.metrics)

    def append_tables(self, row: TableRow) -> int:
        """Adds one row to the tables, in the same way."""
        return self._tables.append(row)

    def read_tables(self) -> list[dict[str, Any]]:
        """All complete rows of the tables; none where there is no file."""
        return read_tables(self.tables)

    def rows(self) -> dict[str, int]:
        """How many rows the metrics and the tables have, whichever callback appended them."""
        return {"metrics": self._metrics.rows, "tables": self._tables.rows}

    def truncate_to_checkpoint(self, *, metrics: int, tables: int) -> None:
        """Drops all rows past those that a checkpoint counts, as `rows`. UserError where there are fewer."""
        self._metrics.truncate(metrics)
        self._tables.truncate(tables)

    def flush_to_disk(self) -> None:
        """Returns once all rows would survive a power loss."""
        flush_to_disk(self.metrics)
        flush_to_disk(self.tables)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
