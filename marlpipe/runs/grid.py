"""The process that starts the runs of a grid, and whether it lives: without it, nobody starts those that wait."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.lock import FolderLock, owner

FOLDER = ".grids"  # below that of all runs
FORM = re.compile(rf"/(.*/)?{re.escape(FOLDER)}/[0-9a-f]{{16}}")  # a status may come from a stranger


@contextmanager
def living_grid(runs: Path) -> Iterator[str]:
    """Holds a lock for as long as this process starts runs; yields its absolute path, for the status of each run.

    Args:
        runs: the folder of all runs.

    Raises:
        UserError: it cannot be written to.
    """
    path = runs.absolute() / FOLDER / secrets.token_hex(8)
    with os_errors_as_user_errors("make the folder", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FolderLock(path):
            yield str(path)
    finally:
        with os_errors_as_user_errors("remove", path):
            path.unlink(missing_ok=True)


def lives(grid: str | None) -> bool | None:
    """Whether the process that holds a grid's lock lives, on whatever machine; None where nothing is known of one."""
    if grid is None or not FORM.fullmatch(grid) or not os.access(grid, os.R_OK):
        return None
    return owner(Path(grid)) is not None
