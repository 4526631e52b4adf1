"""`marlpipe figures`: the papers' figures from runs, or from curves that were kept."""

from pathlib import Path

import click

from marlpipe.commands.command_line.completion import complete_folders
from marlpipe.commands.command_line.parameters import Folder, out
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import UserError

RESULTS = Path("docs/results")


@verb()
@click.argument("folders", metavar="[FOLDER…]", nargs=-1, type=Folder(), shell_complete=complete_folders)
@out(f"{RESULTS}/")
def command(folders: tuple[Path, ...], out: Path | None) -> int:
    """Draws the papers' figures with our curves, and judges their claims.

    The finished runs in and below some folders, as `make figures` trains them, are added to the curves that are kept,
    a CSV file for each figure. Without a folder, all is drawn again from these files.

    \b
    Exit status: 0 if all was written, 2 if there is no such folder, a file is
    broken, or nothing can be written.
    """
    from marlpipe.analysis.papers.results import update

    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}\n  valid: the folder of a run, or one above it")
    if out is None and not RESULTS.is_dir():
        raise UserError(f"there is no {RESULTS}/ here.\n  next: --out FOLDER, or the folder of marlpipe's repository")
    for file in update(folders, out or RESULTS):
        print(file)
    return 0
