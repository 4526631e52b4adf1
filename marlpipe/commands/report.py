"""`marlpipe report`: table and figures of runs, in the terminal."""

from pathlib import Path

from marlpipe.commands.command_line.parameters import folders, out
from marlpipe.commands.command_line.verb import verb
from marlpipe.runs.links import check_inside


@verb()
@folders()
@out("report/ in the first folder")
def command(folders: tuple[Path, ...], out: Path | None) -> int:
    """Prints a table of runs, and draws their learning curves.

    It takes all runs in and below some folders, finished or running, and writes table.csv and figures per environment.

    \b
    Exit status: 0 if the report was written, 2 if there is no such folder or
    option, a run's files cannot be read, or nothing can be written.
    """
    from marlpipe.analysis.report.report import report

    inside = folders[0] / "report"
    if out is None:
        check_inside(inside, folders[0])
    report(folders, out or inside)
    return 0
