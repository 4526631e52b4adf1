"""A lock for a run folder, valid across machines that share the disk; a dead owner's lock can be taken."""

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

BEAT_S = 10.0  # between two updates of the counter in the file
WATCH_S = 25.0  # without an update, an owner on another machine counts as dead
TRIES, BETWEEN_S = 10, 0.1  # observers hold the lock for an instant, too


class FolderInUse(UserError):  # noqa: N818 a condition, not necessarily an error
    """A live process owns the folder."""


class FolderLock:
    """The right to write into a run folder, as a context manager.

    `flock` decides on one machine, and between machines where the disk supports it; it ends with its process, however
    that ends. Not every shared disk supports it. So the owner also increments a counter in the file, and a process that
    finds another machine's name there watches for `WATCH_S` whether the counter changes. No clocks are compared.

    An owner that was frozen or cut off from the disk may lose the lock meanwhile; after its next beat, `lost` is True.

    Args:
        path: the lock file. Releasing the lock empties it, but does not remove it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, False
        self._over = threading.Event()

    def __enter__(self) -> "FolderLock":
        """Takes the lock.

        Raises:
            FolderInUse: a live process owns the folder; nothing was changed.
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
        with suppress(OSError):  # a stale record on an unreachable disk only delays the next owner
            if not self.taken_over():
                os.ftruncate(self._file, 0)
        os.close(self._file)

    def taken_over(self) -> bool:
        """Whether another process has taken the lock; sets `lost` then. OSError where the file cannot be read."""
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
        """The current content under the file's name, if any; opening it anew bypasses a network disk's cache."""
        try:
            with self.path.open("rb") as file:
                return _content(file.fileno())
        except FileNotFoundError:
            return {}

    def _locked(self) -> bool:
        """Whether `flock` succeeded; False on a disk without locks. FolderInUse where another process has it."""
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
        process = f"process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= owner.keys() else "another process"
        return FolderInUse(
            f"{self.path.parent} is being trained by {process}\n"
            "  Wait until it has ended, or end it. python -m marlpipe status shows its progress."
        )

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            try:
                if self.taken_over():
                    return
                self._own["beat"] += 1
                self._write()
            except OSError:  # a disk that is unreachable for now; the next beat tries again
                continue

    def _write(self) -> None:
        text = json.dumps(self._own).encode() + b"\n"
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))


def owner(path: Path) -> Mapping[str, Any] | None:
    """The live owner's record, with host and pid if the file has them; None without a live owner. Changes nothing.

    For an owner on another machine, or on a disk without locks, the file's modification time decides; so the clocks
    of the machines should agree within a few seconds.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if (
            not stat.S_ISREG(found.st_mode) or not found.st_size
        ):  # empty: released. No flock then, so that an observer never blocks the next owner
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
    """The owner's record; empty for a file that is empty, or read during a write."""
    try:
        record = json.loads(os.pread(file, 4096, 0) or b"{}")
    except (ValueError, RecursionError, OSError):
        return {}
    return record if isinstance(record, dict) else {}
