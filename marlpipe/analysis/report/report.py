"""The terminal report of run folders: a table per environment, table.csv, and figures."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run, find_runs
from marlpipe.analysis.output_files import output_file
from marlpipe.analysis.report.games import game_summaries, games_csv, games_table
from marlpipe.analysis.report.table import comparison_csv, comparison_table
from marlpipe.analysis.statistics.paper_returns import paper_return
from marlpipe.analysis.summaries import compare
from marlpipe.runs.files import os_errors_as_user_errors, write_text

References = Mapping[str, Mapping[str, float]]  # by environment, by the name of the line: a return
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own


def report(
    folders: Iterable[Path],
    out: Path,
    *,
    references: References | None = None,
    console: Console | None = None,
) -> list[Run]:
    """Writes `table.csv` and the figures of each environment; prints the tables and the paths of the files.

    Args:
        folders: run folders, or folders above them.
        out: the folder to write to; it is made if it does not exist.
        references: horizontal lines for the figures.
        console: where to print, the terminal by default.

    Returns:
        The runs, from which a caller derives its exit status.

    Raises:
        UserError: there is no run, a run's files are broken, or `out` cannot be written.
    """
    from marlpipe.analysis.report.figures import draw_figures  # matplotlib takes a second to import

    runs = find_runs(folders)
    arms = by_env(runs)
    papers = {env: paper_return(env_arms) for env, env_arms in arms.items()}
    comparisons = {env: compare(own, paper.value if (paper := papers[env]) else None) for env, own in arms.items()}
    shown = console or Console()
    if console is None and not shown.is_terminal:
        shown = Console(width=FILE_WIDTH)
    for env, summaries in comparisons.items():
        shown.print(comparison_table(env, summaries, papers[env]))
    games = game_summaries(arms)
    if games:
        shown.print(games_table(games))
    with os_errors_as_user_errors("make the folder", out):
        out.mkdir(parents=True, exist_ok=True)
    written = [output_file(out, "table.csv")]
    write_text(written[0], comparison_csv(comparisons))
    if games:
        written.append(output_file(out, "games.csv"))
        write_text(written[-1], games_csv(games))
    for env, env_arms in arms.items():
        written += draw_figures(env, env_arms, out, (references or {}).get(env))
    for path in written:
        shown.print(str(path), style="dim", soft_wrap=True, highlight=False, markup=False)
    return runs
