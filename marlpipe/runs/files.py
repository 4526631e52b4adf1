"""Atomic writes, JSON files, and disk errors as messages with the next step."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from marlpipe.errors import UserError

NEXT_STEP = {
    errno.ENOSPC: "The disk is full: free some space, then issue the same command again to go on from the checkpoint.",
    errno.EDQUOT: "The disk quota is used up: free some space, then issue the same command again to go on.",
    errno.EACCES: "This account may not write there: choose another folder or change its permissions.",
    errno.EPERM: "This account may not write there: choose another folder or change its permissions.",
    errno.EROFS: "That file system is read-only: choose another folder.",
    errno.ENOTDIR: "A file stands where a folder is needed: move it away or choose another folder.",
    errno.EEXIST: "A file stands where a folder is needed: move it away or choose another folder.",
}


@contextmanager
def os_errors_as_user_errors(doing: str, path: Path) -> Iterator[None]:
    """Turns an `OSError` into a `UserError` that names the path and the next step.

    Args:
        doing: a verb for the message, as in "write".
        path: its object.
    """
    try:
        yield
    except OSError as error:
        step = NEXT_STEP.get(error.errno or 0, "Check that the path exists and can be used, then try again.")
        raise UserError(f"cannot {doing} {path}: {error.strerror or error}\n  {step}") from error


@contextmanager
def os_errors_inside_as_user_errors(folder: Path) -> Iterator[None]:
    """As `os_errors_as_user_errors`, for code that is not ours: only errors of `NEXT_STEP` on files in the folder."""
    try:
        yield
    except OSError as error:
        file = Path(str(error.filename or folder))
        if error.errno not in NEXT_STEP or not file.is_relative_to(folder):
            raise
        with os_errors_as_user_errors("write", file):
            raise


def flush_to_disk(path: Path) -> None:
    """Returns once a file, or a folder's list of files, would survive a power loss. A missing file is no error.

    Raises:
        UserError: the disk refuses.
    """
    with os_errors_as_user_errors("write", path):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems cannot fsync a folder
                raise
        finally:
            os.close(file)


@contextmanager
def replacing(path: Path, unfinished: Path) -> Iterator[None]:
    """An atomic write: the body writes to `unfinished`, which then replaces `path`, or is removed on an error."""
    with os_errors_as_user_errors("write", path):
        try:
            yield
            unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise


def write_text(path: Path, text: str) -> None:
    """An atomic write: a reader sees the old text or the new one, never a part. What UTF-8 lacks is escaped.

    Raises:
        UserError: the folder cannot be written to, or the disk is full. The old file is untouched then.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text` does."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with replacing(path, unfinished):
        unfinished.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """An atomic write of a value as indented JSON.

    Raises:
        UserError: as `write_text`.
        ValueError: the value holds a NaN or an infinity, which JSON has not.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def overwrite_json(path: Path, value: Any) -> None:
    """Writes into an existing file, not atomically: even on a full disk, a small file's block has room.

    Raises:
        OSError: the disk refuses this too.
    """
    with path.open("r+", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2) + "\n")
        file.truncate()


def read_json(path: Path) -> Any:
    """The value in a JSON file; None where there is no such file, or an empty one, which a power loss can leave.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    with os_errors_as_user_errors("read", path):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:  # no JSON, a number with thousands of digits, deep nesting
        raise UserError(f"{path} is not valid JSON: {error}\n  Restore the file, or remove it.") from error
