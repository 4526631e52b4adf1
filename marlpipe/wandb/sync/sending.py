"""Sends the rows that W&B lacks, run by run, and checks afterwards that it has them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from marlpipe.errors import UserError
from marlpipe.runs.links import check_inside
from marlpipe.runs.text import printable
from marlpipe.wandb.private_api import OFFLINE_SESSION, SYNCED
from marlpipe.wandb.sync.merged_history import MergedHistory
from marlpipe.wandb.sync.server import Server, Stored, difference
from marlpipe.wandb.sync.upload import upload


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    folders: list[Path]
    dry_run: bool = False
    project: str | None = None
    entity: str | None = None


TOGETHER = 20  # runs per `wandb sync`, whose pictures and artifacts are copied first
SETTLE_S, BETWEEN_S = 20.0, 0.5  # a server may show new rows only after some seconds


@dataclass(frozen=True)
class SyncResult:
    """The result of a run, with its text for the user."""

    name: str
    kind: Literal["sent", "there already", "not all there", "not sent"]
    text: str

    @property
    def good(self) -> bool:
        """Whether W&B confirms that it has all of the run."""
        return self.kind in ("sent", "there already")


@dataclass(frozen=True)
class IncompleteRun:
    """A run that W&B does not have completely; `stored` is what it has."""

    name: str
    history: MergedHistory
    stored: Stored


def compare_with_server(name: str, history: MergedHistory, server: Server) -> SyncResult | IncompleteRun:
    """Compares a run with what W&B has of it. UserError if W&B does not answer."""
    stored = server.fetch(history)
    lacks = difference(history, stored)
    if lacks is None:
        _mark_synced(history)
        return SyncResult(name, "there already", f"there already: {_all(stored)}")
    if stored.rows != sum(step <= stored.last_step for step in history.steps):
        return SyncResult(
            name,
            "not all there",
            f"not all there: {lacks}, and W&B accepts rows in their order only\n"
            f"  next: send it whole to another project, with --project NAME; what is there: {printable(stored.url)}",
        )
    return IncompleteRun(name, history, stored)


def send(
    incomplete: Sequence[IncompleteRun], server: Server, options: Options, done: Callable[[], None]
) -> Iterator[SyncResult]:
    """Sends `TOGETHER` runs at a time, and calls `done` after each run. UserError if W&B does not answer."""
    for start in range(0, len(incomplete), TOGETHER):
        with TemporaryDirectory(prefix="marlpipe-sync-") as made:
            yield from _send_together(incomplete[start : start + TOGETHER], Path(made), server, options, done)


def _send_together(
    batch: Sequence[IncompleteRun], made: Path, server: Server, options: Options, done: Callable[[], None]
) -> Iterator[SyncResult]:
    lost: dict[int, list[str]] = {}
    for number, one in enumerate(batch):
        session = made / f"{OFFLINE_SESSION}{number}"
        try:
            lost[number] = one.history.write(
                session, first=one.stored.last_step + 1, project=options.project, entity=options.entity
            )
        except UserError as error:
            yield SyncResult(one.name, "not sent", f"not sent: {error}")
    complaints = upload([made / f"{OFFLINE_SESSION}{number}" / "run.wandb" for number in lost], made, done)
    settled = time.monotonic() + SETTLE_S
    for number in lost:
        yield _result(batch[number], lost[number], complaints, server, settled)


def _result(
    one: IncompleteRun, lost: Sequence[str], complaints: Sequence[str], server: Server, settled: float
) -> SyncResult:
    stored = server.fetch(one.history)
    while (lacks := difference(one.history, stored)) is not None and not complaints and time.monotonic() < settled:
        time.sleep(BETWEEN_S)
        stored = server.fetch(one.history)
    if lacks is not None:
        words = "".join(f"\n  W&B: {complaint}" for complaint in dict.fromkeys(complaints))
        return SyncResult(one.name, "not all there", f"not all there: {lacks}{words}")
    if lost:
        return SyncResult(one.name, "not all there", "not all there: " + "; ".join(map(printable, lost)))
    _mark_synced(one.history)
    return SyncResult(one.name, "sent", f"sent {stored.rows - one.stored.rows} rows; W&B has all: {_all(stored)}")


def _all(stored: Stored) -> str:
    return f"{stored.rows} rows, {printable(stored.state)}"


def _mark_synced(history: MergedHistory) -> None:
    """Marks the logs as W&B does, so that a later `wandb sync` by hand does not send all rows again."""
    for session in history.sessions:
        mark = session.log.with_name(f"{session.log.name}{SYNCED}")
        with suppress(OSError, UserError):  # a folder that may be read only
            check_inside(mark, history.folder.path)
            mark.touch()
