"""What a run folder holds for W&B, and whether it can be sent now."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.lock import owner
from marlpipe.runs.path import short_name
from marlpipe.runs.text import printable
from marlpipe.wandb.sync.merged_history import MergedHistory, merge_sessions
from marlpipe.wandb.sync.sessions import Session, find_sessions


@dataclass(frozen=True, kw_only=True)
class LocalRun:
    """A run folder as read for W&B."""

    folder: RunFolder
    name: str
    history: MergedHistory | None = None  # what can be sent
    reason: str | None = None  # why a run that W&B recorded cannot be sent
    empty: Sequence[Path] = ()  # sessions without any record
    warnings: Sequence[str] = ()  # sessions that are damaged or cannot be read

    @property
    def for_wandb(self) -> bool:
        """Whether the run was recorded by W&B."""
        return self.history is not None or self.reason is not None


def read_local_run(folder: RunFolder) -> LocalRun:
    """Reads one run folder, whose content is untrusted, without changing it; errors become its `reason`."""
    name = printable(short_name(folder.path), keep="")
    try:
        check_enclosed(folder.path)
        own = identity(folder)
        name = f"{own.env} {own.label} seed={own.seed}"
        if (holder := owner(folder.lock)) is not None:
            pid, host = (printable(str(holder.get(key, "?")), keep="") for key in ("pid", "host"))
            return LocalRun(folder=folder, name=name, reason=f"left alone: process {pid} on {host} trains it")
        found = find_sessions(folder)
        sessions = _of_this_run(folder, found.readable)
        warnings = [*found.unreadable, *_damage(sessions)]
        history, reason = None, None
        if sessions:
            history = merge_sessions(folder, sessions)
        elif found.unreadable:
            reason = "not sent: no session can be read"
        elif found.empty:
            reason = "not sent: it was killed before W&B had written anything"
        return LocalRun(folder=folder, name=name, history=history, reason=reason, empty=found.empty, warnings=warnings)
    except (UserError, OSError) as error:
        return LocalRun(folder=folder, name=name, reason=f"refused: {printable(str(error))}")


def _damage(sessions: Sequence[Session]) -> list[str]:
    """One sentence per damaged log. Rows are not lost: those of metrics.jsonl are sent in their place."""
    return [
        f"{one.log}: {one.damaged} damaged blocks or records were skipped; their rows are sent from metrics.jsonl, "
        "their pictures and files are lost"
        for one in sessions
        if one.damaged
    ]


def _of_this_run(folder: RunFolder, readable: Sequence[Session]) -> list[Session]:
    """The sessions with the W&B id of this run, or with that of the last session where the folder has no id.

    The others are of an earlier run in the same folder.
    """
    if not readable:
        return []
    known = folder.wandb_id.read_text(encoding="utf-8", errors="replace").strip() if folder.wandb_id.is_file() else ""
    own = [one for one in readable if one.run_id == (known or readable[-1].run_id)]
    if not own:
        raise UserError(f"its W&B sessions are of the run {readable[-1].run_id}, but {folder.wandb_id} says {known}")
    return own
