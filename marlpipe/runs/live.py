"""Shows a running grid: a live table on a terminal, occasional lines elsewhere."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from marlpipe.runs.display import COLOURS, URGENCY, duration, rounded, summary
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity
from marlpipe.runs.status import State, Status

Content = TypeVar("Content")


class CachedFile(Generic[Content]):
    """The content of a file, read again only after the file has changed or was replaced."""

    def __init__(self, file: Path, read: Callable[[], Content]) -> None:
        self._file, self._read = file, read
        self._seen: tuple[int, int] | None = None

    def __call__(self) -> Content:
        """What `read` returns; it is also called where there is no such file."""
        version = _version(self._file)
        if version is None or version != self._seen:
            self._seen, self._content = version, self._read()
        return self._content


def _version(file: Path) -> tuple[int, int] | None:
    """A value that changes with the file; None where the file cannot be accessed."""
    try:
        now = file.stat()
    except OSError:
        return None
    return now.st_ino, now.st_mtime_ns


class GridDisplay:
    """Shows the runs of some folders by reading their status files, which other processes write.

    A context manager; its user calls `refresh` a few times per second.

    Raises:
        UserError: a folder cannot be read.
    """

    def __init__(
        self, *, folders: Sequence[RunFolder], console: Console | None = None, summary_every_s: float = 20.0
    ) -> None:
        self._folders = folders
        self._status = [CachedFile(folder.status_file, partial(getattr, folder, "status")) for folder in folders]
        self._identity = [CachedFile(folder.run, partial(identity, folder)) for folder in folders]
        self._console = console or Console()
        self._summary_every_s = summary_every_s
        self._summarised = time.monotonic()
        self._states: dict[int, State] = {}
        terminal = self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False) if terminal else None
        self._announced: list[State] = ["failed"] if terminal else ["running", "finished", "failed", "interrupted"]

    def __enter__(self) -> "GridDisplay":
        if self._live:
            self._live.start()
        self._states = {number: status.state for number, status in enumerate(self._statuses())}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refresh()
        if self._live:
            self._live.stop()
        else:
            self._console.print(summary(self._statuses()), soft_wrap=True)

    def refresh(self) -> None:
        """Reads the status files that changed, and shows what is new."""
        statuses = self._statuses()
        for number, status in enumerate(statuses):
            if status.state != self._states[number] and status.state in self._announced:
                self._console.print(self._event(number, status), soft_wrap=True)
            self._states[number] = status.state
        if self._live:
            self._live.update(Group(self._table(statuses), summary(statuses)), refresh=True)
        elif time.monotonic() - self._summarised >= self._summary_every_s:
            self._summarised = time.monotonic()
            self._console.print(summary(statuses), soft_wrap=True)

    def _statuses(self) -> list[Status]:
        return [status() for status in self._status]

    def _event(self, number: int, status: Status) -> Text:
        run = self._identity[number]()
        line = Text(f"{run.env} {run.label} seed={run.seed}: ")
        line.append(status.state, style=COLOURS[status.state])
        if status.state == "finished":
            line.append(f" after {duration(status.wall_s)}, last evaluation return {rounded(status.eval_return)}")
        if status.reason:
            line.append(f": {status.reason.splitlines()[0]}")
        if status.state == "failed":
            line.append(f" (see {self._folders[number].console})")
        return line

    def _table(self, statuses: Sequence[Status]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("run", "seed", "state"):
            table.add_column(heading, no_wrap=True)
        for heading in ("env steps", "", "", "env steps/s", "return", "left"):
            table.add_column(heading, justify="right", no_wrap=True)
        lines = max(1, self._console.height - 4)  # the heading, the summary, and room for the cursor
        by_urgency = sorted(range(len(statuses)), key=lambda number: URGENCY.index(statuses[number].state))
        for number in sorted(by_urgency[:lines]):
            run, status = self._identity[number](), statuses[number]
            total = status.total_env_steps
            table.add_row(
                Text(f"{run.env} {run.label}"),
                str(run.seed),
                Text(status.state, style=COLOURS[status.state]),
                f"{status.env_steps:,}" + (f"/{total:,}" if total else ""),
                ProgressBar(total=total or 1, completed=status.env_steps, width=16),
                f"{100 * status.env_steps / total:.0f} %" if total else "",
                f"{status.env_steps_per_s:,.0f}" if status.env_steps_per_s else "–",
                rounded(status.eval_return),
                duration(None if status.ended else status.eta_s),
            )
        return table
