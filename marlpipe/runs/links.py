"""A run's files lie in its folder: no link leads out of it, and nothing there is other than a file or a folder."""

import os
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors


def check_enclosed(path: Path) -> None:
    """Looks at everything in and below a folder, which may be a link itself; links inside are not followed.

    What W&B keeps in its own folder is not ours to read or write, and has links to its logs elsewhere.

    Raises:
        UserError: a link leads out of the folder, something there would hang whoever reads it, or the folder cannot be
            looked into.
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
                        "  next: remove it, or ask whoever made the folder"
                    )


def check_inside(path: Path, folder: Path) -> None:
    """UserError, with where it leads, for a path that a link takes out of a folder; whether it exists or not."""
    leads = Path(os.path.realpath(path))
    if not leads.is_relative_to(os.path.realpath(folder)):
        raise UserError(
            f"{path} is a link that leads out of {folder}, to {leads}: nothing there was read or written.\n"
            "  valid: links that stay inside the folder\n"
            "  next: put the files themselves there, or ask whoever made the folder for them"
        )
