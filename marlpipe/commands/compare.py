"""`marlpipe compare`: one page with the evidence on which method is better."""

from pathlib import Path

import click

from marlpipe.commands.command_line.parameters import folders, out
from marlpipe.commands.command_line.verb import verb
from marlpipe.runs.links import check_inside


@verb(stopped="The page that was written stays; the runs themselves go on.")
@folders()
@out("comparison/ in the first folder")
@click.option(
    "--watch",
    "serve",
    is_flag=True,
    help="Serve the page on this machine until Ctrl-C, and make it anew when the runs have gone on.",
)
def command(folders: tuple[Path, ...], out: Path | None, serve: bool) -> int:
    """Which method is better, and on what evidence: one page.

    The page opens in a browser from the disk, without network or account. With it come figures (PNG, PDF) and tables
    (CSV) of all runs in and below some folders, finished or not.

    \b
    Exit status: 0 if the page was written, 2 if there is no such folder or
    option, or nothing can be written.
    """
    from marlpipe.analysis.page.comparison import comparison
    from marlpipe.analysis.page.serving import watch
    from marlpipe.analysis.page.write import write

    if serve:
        watch(list(folders), lambda address: print(f"{address}  until Ctrl-C", flush=True))
    inside = folders[0] / "comparison"
    if out is None:
        check_inside(inside, folders[0])
    for file in write(comparison(folders), out or inside):
        print(file)
    return 0
