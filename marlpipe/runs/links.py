"""Checks that a run's files are inside its folder: no link leads out, and there are only files and folders."""

import os
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors


def check_enclosed(path: Path) -> None:
    """Checks everything in and below a folder, which may be a link itself; does not follow links inside.

    W&B's own folder is skipped: marlpipe never reads it through these paths, and it links to logs elsewhere.

    Raises:
        UserError: a link leads out of the folder, an entry is neither a file nor a folder (a pipe would block its
            reader), or the folder cannot be read.
    """
    below = [path]
    while below:
        folder = below.pop()
        with os_errors_as_user_errors("look into", folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    check_inside(Path(entry.path), path)
                elif entry.is_dir() and Path(entry.path) != path / "wandb":
                    below.append(Path(entry.path))
                elif not entry.is_dir() and not entry.is_file():
                    raise UserError(
                        f"{entry.path} is neither a file nor a folder, and was not read.\n"
                        "  next: remove it, or ask the owner of the folder"
                    )


def check_inside(path: Path, folder: Path) -> None:
    """UserError, with the target, for a path that leads out of a folder by a link; also for one that does not exist."""
    leads = Path(os.path.realpath(path))
    if not leads.is_relative_to(os.path.realpath(folder)):
        raise UserError(
            f"{path} is a link that leads out of {folder}, to {leads}: nothing there was read or written.\n"
            "  valid: links that stay inside the folder\n"
            "  next: put the files themselves there, or ask the owner of the folder for them"
        )
