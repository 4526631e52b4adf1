"""One process at a time owns a run folder, on however many machines share the disk; a dead owner holds nobody up."""

import fcntl
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors

BEAT_S = 10.0  # between two signs of life
WATCH_S = 25.0  # without one, an owner on another machine is taken to be dead
TRIES, BETWEEN_S = 10, 0.1  # whoever only looks who the owner is holds the lock for a moment too


class FolderInUse(UserError):  # noqa: N818 whose mistake it is, if any, is not known
    """Another process owns the folder, and is alive."""


class FolderLock:
    """The right to write into a run folder, as a context manager.

    The system's own file lock decides on one machine, and between machines where the disk passes locks on: it ends with
    its process, however that ends. Not every shared disk does. So the owner also counts up in the file, and who finds
    the name of another machine there watches for `WATCH_S` whether the count goes on. No two clocks are compared.

    An owner that was frozen, cut off from the disk, and given up meanwhile finds out by its next beat: `lost` is True.

    Args:
        path: the lock file. It stays when the lock is released, and is empty then.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, False
        self._over = threading.Event()

    def __enter__(self) -> "FolderLock":
        """Takes the lock.

        Raises:
            Owned: another process owns the folder. Nothing has changed then.
            UserError: the folder cannot be written to.
        """
        with os_errors_as_user_errors("write", self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                self._take()
            except BaseException:
                os.close(self._file)
                raise
        self._heart = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()
        with suppress(OSError):  # what is left there on a disk that is away costs the next owner a little time
            if not self.taken_over():
                os.ftruncate(self._file, 0)
        os.close(self._file)

    def taken_over(self) -> bool:
        """Whether the file is another owner's by now; sets `lost` then. OSError where it cannot be read."""
        found = self._fresh()
        self.lost = self.lost or bool(found and found.get("token") != self._own["token"])
        return self.lost

    def _take(self) -> None:
        decides = self._locked()
        seen = _content(self._file)
        if seen and not (decides and seen.get("host") == os.uname().nodename):
            deadline = time.monotonic() + WATCH_S
            while time.monotonic() < deadline:
                time.sleep(BETWEEN_S)
                if self._fresh() != seen:
                    raise self._owned()
        self._own: dict[str, Any] = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "token": secrets.token_hex(8),
            "beat": 0,
        }
        self._write()

    def _fresh(self) -> dict[str, Any]:
        """The content of the file that has the name now, if any: an open asks the server, where there is one."""
        try:
            with self.path.open() as file:
                return _content(file.fileno())
        except FileNotFoundError:
            return {}

    def _locked(self) -> bool:
        """Whether the system has locked the file, False on a disk without locks. Raises `Owned`."""
        for left in reversed(range(TRIES)):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if left == 0:
                    raise self._owned() from None
                time.sleep(BETWEEN_S)
            except OSError:
                return False
            else:
                return True
        raise AssertionError("the last try returns or raises")

    def _owned(self) -> FolderInUse:
        owner = _content(self._file)
        who = f"process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= owner.keys() else "another process"
        return FolderInUse(
            f"{self.path.parent} is being trained by {who}\n"
            "  Wait until it has ended, or end it. python -m marlpipe status tells how it stands."
        )

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            try:
                if self.taken_over():
                    return
                self._own["beat"] += 1
                self._write()
            except OSError:  # a disk that is away for a moment; the next beat tries again
                continue

    def _write(self) -> None:
        text = json.dumps(self._own).encode() + b"\n"
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))


def owner(path: Path) -> Mapping[str, Any] | None:
    """Who holds a lock file, with host and pid as far as it tells them; None if nobody alive does. Changes nothing.

    Of an owner on another machine, or on a disk without locks, only the time of its last beat can be told, so its clock
    should be about right.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:  # released: a look takes no lock from the next owner
            return None
        content = _content(file)
        decides = True
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return content
        except OSError:
            decides = False
        dead = decides and content.get("host") == os.uname().nodename
        return content if content and not dead and time.time() - found.st_mtime < WATCH_S else None
    finally:
        os.close(file)


def _content(file: int) -> dict[str, Any]:
    """Nothing for a file that is empty, or caught in the middle of a write."""
    try:
        told = json.loads(os.pread(file, 4096, 0) or b"{}")
    except (ValueError, RecursionError, OSError):
        return {}
    return told if isinstance(told, dict) else {}
