"""How commands print: streams that take any text, a console for a terminal or a file, and a progress bar."""

import fcntl
import io
import os
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY))
FILE_WIDTH = 180  # columns where the output goes into a file or a pipe, which has no width of its own


def make_streams_usable() -> None:
    """Puts nothing in the place of standard streams that are closed, and has text escaped that their encoding lacks.

    The number of a closed one would go to the next file that is opened, and what is printed would go into that.
    """
    for number, (name, mode, flags) in enumerate(STREAMS):
        found = _flags(number)
        at_start = getattr(sys, name) is not None  # else Python found it closed; another file may have its number now
        if found is None or (at_start and found & os.O_ACCMODE not in (flags, os.O_RDWR)):
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, number)
            os.set_inheritable(number, True)
            if nothing != number:
                os.close(nothing)
        if not at_start:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flags(number: int) -> int | None:
    """With which an open file can be used; None where none has the number."""
    try:
        return fcntl.fcntl(number, fcntl.F_GETFL)
    except OSError:
        return None


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
