"""What each run has kept for W&B, and whether it can be sent now."""

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
from marlpipe.wandb.sync.merged_history import Joined, joined
from marlpipe.wandb.sync.sessions import Fragment, find_fragments


@dataclass(frozen=True, kw_only=True)
class Look:
    """One run on the disk."""

    folder: RunFolder
    name: str
    run: Joined | None = None
    reason: str | None = None  # why it cannot be sent, if somebody might expect it
    empty: Sequence[Path] = ()  # sessions that hold nothing

    @property
    def meant(self) -> bool:
        """Whether W&B is to have the run at all."""
        return self.run is not None or self.reason is not None


def look(folder: RunFolder) -> Look:
    """Reads one run, whoever wrote it. It changes nothing and raises nothing."""
    name = printable(short_name(folder.path), keep="")
    try:
        check_enclosed(folder.path)
        who = identity(folder)
        name = f"{who.env} {who.label} seed={who.seed}"
        if (holder := owner(folder.lock)) is not None:
            pid, host = (printable(str(holder.get(key, "?")), keep="") for key in ("pid", "host"))
            return Look(folder=folder, name=name, reason=f"left alone: process {pid} on {host} trains it")
        found = find_fragments(folder)
        own = _of_this_run(folder, found.whole)
        if own:
            return Look(folder=folder, name=name, run=joined(folder, own), empty=found.empty)
        reason = "not sent: it was killed before W&B had written anything" if found.empty else None
        return Look(folder=folder, name=name, reason=reason, empty=found.empty)
    except (UserError, OSError) as error:
        return Look(folder=folder, name=name, reason=f"refused: {printable(str(error))}")


def _of_this_run(folder: RunFolder, whole: Sequence[Fragment]) -> list[Fragment]:
    """Without what a run left that was in this folder before; where the folder does not tell, the last one counts."""
    if not whole:
        return []
    known = folder.wandb_id.read_text(encoding="utf-8", errors="replace").strip() if folder.wandb_id.is_file() else ""
    own = [one for one in whole if one.run_id == (known or whole[-1].run_id)]
    if not own:
        raise UserError(
            f"what is kept for W&B there is of the run {whole[-1].run_id}, and {folder.wandb_id} says {known}"
        )
    return own
