"""How commands print: a console for a terminal or a file, and a progress bar."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

FILE_WIDTH = 180  # columns where the output goes into a file or a pipe, which has no width of its own


def console() -> Console:
    """On the standard output, as wide as the terminal, or `FILE_WIDTH` in a file."""
    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH)


def progress_bar(console: Console | None = None) -> Progress:
    """Shown on a terminal until it is done; nothing anywhere else.

    Args:
        console: where it is shown; the standard error by default.
    """
    shown = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal)
