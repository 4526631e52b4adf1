"""Where multiprocessing puts its sockets, whose paths cannot be long."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import util

from marlpipe.errors import UserError

LONGEST_FOLDER = 70  # bytes: the path of a socket has at most 107, and multiprocessing puts it two levels below
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def make_room_for_sockets(short: Sequence[str] = SHORT) -> None:
    """Chooses one of some short folders where that of temporary files has too long a path.

    Raises:
        UserError: none of them can be written to.
    """
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= LONGEST_FOLDER:
        return
    try:
        for folder in short:
            tempfile.tempdir = folder
            with suppress(OSError):
                util.get_temp_dir()  # it is remembered, and removed at the end
                return
    finally:
        tempfile.tempdir = usual
    raise UserError(
        f"the path of the folder for temporary files is too long for sockets: {usual}\n"
        f"  valid: at most {LONGEST_FOLDER} bytes\n  next: set TMPDIR to a shorter path"
    )
