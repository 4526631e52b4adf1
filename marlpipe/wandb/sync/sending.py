"""Sends what W&B lacks, run by run, and asks afterwards."""

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
from marlpipe.wandb.sync.merged_history import Joined
from marlpipe.wandb.sync.server import Server, Stored, difference
from marlpipe.wandb.sync.upload import upload


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    folders: list[Path]
    dry_run: bool = False
    project: str | None = None
    entity: str | None = None


TOGETHER = 20  # runs that W&B is handed at once: their pictures and artifacts are copied before
SETTLE_S, BETWEEN_S = 20.0, 0.5  # a server may take its time to show what it was sent


@dataclass(frozen=True)
class Outcome:
    """What became of a run, and what to say about it."""

    name: str
    kind: Literal["sent", "there already", "not all there", "not sent"]
    text: str

    @property
    def good(self) -> bool:
        """Whether W&B has all of the run, as it says itself."""
        return self.kind in ("sent", "there already")


@dataclass(frozen=True)
class Lacking:
    """A run of which W&B lacks something. `stored` is what it has."""

    name: str
    run: Joined
    stored: Stored


def ask(name: str, run: Joined, server: Server) -> Outcome | Lacking:
    """What is to be done with a run. UserError if W&B does not answer."""
    stored = server.has(run)
    lacks = difference(run, stored)
    if lacks is None:
        _mark(run)
        return Outcome(name, "there already", f"there already: {_all(stored)}")
    if stored.rows != sum(step <= stored.last_step for step in run.steps):
        return Outcome(
            name,
            "not all there",
            f"not all there: {lacks}, and W&B takes rows in their order only\n"
            f"  next: send it whole to another project, with --project NAME; what is there: {printable(stored.url)}",
        )
    return Lacking(name, run, stored)


def send(lacking: Sequence[Lacking], server: Server, options: Options, done: Callable[[], None]) -> Iterator[Outcome]:
    """Some runs at a time; `done` is called for each that was dealt with. UserError if W&B does not answer."""
    for start in range(0, len(lacking), TOGETHER):
        with TemporaryDirectory(prefix="marlpipe-sync-") as made:
            yield from _send_together(lacking[start : start + TOGETHER], Path(made), server, options, done)


def _send_together(
    batch: Sequence[Lacking], made: Path, server: Server, options: Options, done: Callable[[], None]
) -> Iterator[Outcome]:
    lost: dict[int, list[str]] = {}
    for number, one in enumerate(batch):
        session = made / f"offline-run-{number}"  # W&B passes over one that is not called so
        try:
            lost[number] = one.run.write(
                session, first=one.stored.last_step + 1, project=options.project, entity=options.entity
            )
        except UserError as error:
            yield Outcome(one.name, "not sent", f"not sent: {error}")
    complaints = upload([made / f"offline-run-{number}" / "run.wandb" for number in lost], made, done)
    settled = time.monotonic() + SETTLE_S
    for number in lost:
        yield _outcome(batch[number], lost[number], complaints, server, settled)


def _outcome(one: Lacking, lost: Sequence[str], complaints: Sequence[str], server: Server, settled: float) -> Outcome:
    stored = server.has(one.run)
    while (lacks := difference(one.run, stored)) is not None and not complaints and time.monotonic() < settled:
        time.sleep(BETWEEN_S)
        stored = server.has(one.run)
    if lacks is not None:
        words = "".join(f"\n  W&B: {complaint}" for complaint in dict.fromkeys(complaints))
        return Outcome(one.name, "not all there", f"not all there: {lacks}{words}")
    if lost:
        return Outcome(one.name, "not all there", "not all there: " + "; ".join(map(printable, lost)))
    _mark(one.run)
    return Outcome(one.name, "sent", f"sent {stored.rows - one.stored.rows} rows; W&B has all: {_all(stored)}")


def _all(stored: Stored) -> str:
    return f"{stored.rows} rows, {printable(stored.state)}"


def _mark(run: Joined) -> None:
    """Says so in W&B's own way: a later `wandb sync` by hand would send all rows a second time."""
    for fragment in run.fragments:
        mark = fragment.log.with_name(f"{fragment.log.name}.synced")
        with suppress(OSError, UserError):  # a folder that may be read only
            check_inside(mark, run.folder.path)
            mark.touch()
