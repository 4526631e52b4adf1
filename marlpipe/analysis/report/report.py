"""From run folders to the table and the figures of a comparison."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from marlpipe.analysis.arms import Arm, by_env
from marlpipe.analysis.evaluated_runs import Run, find_runs
from marlpipe.analysis.report.games import game_summaries, games_csv, games_table
from marlpipe.analysis.report.learning_curves import learning_curves
from marlpipe.analysis.report.payoff_tables import learned_tables
from marlpipe.analysis.report.projection_weights import projection_weights
from marlpipe.analysis.report.reward_tables import decompositions
from marlpipe.analysis.report.table import comparison_csv, comparison_table
from marlpipe.analysis.summaries import compare
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors, write_text
from marlpipe.runs.links import check_inside

References = Mapping[str, Mapping[str, float]]  # for each environment, returns by name
LONGEST_NAME = 100  # of a file, in letters
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own


def report(
    folders: Iterable[Path],
    out: Path,
    *,
    references: References | None = None,
    console: Console | None = None,
) -> list[Run]:
    """Writes `table.csv` and one figure per environment, and prints the table and where the files are.

    Args:
        folders: run folders, or folders above them.
        out: where to write; it is made if need be.
        references: horizontal lines for the figures.
        console: where to print, the terminal by default.

    Returns:
        The runs, for whoever decides on an exit status.

    Raises:
        UserError: nothing is found, a run's files are broken, or `out` cannot be written.
    """
    runs = find_runs(folders)
    arms = by_env(runs)
    comparisons = {env: compare(env_arms) for env, env_arms in arms.items()}
    shown = console or Console()
    if console is None and not shown.is_terminal:
        shown = Console(width=FILE_WIDTH)
    for env, summaries in comparisons.items():
        shown.print(comparison_table(env, summaries))
    games = game_summaries(arms)
    if games:
        shown.print(games_table(games))
    with os_errors_as_user_errors("make the folder", out):
        out.mkdir(parents=True, exist_ok=True)
    written = [inside(out, "table.csv")]
    write_text(written[0], comparison_csv(comparisons))
    if games:
        written.append(inside(out, "games.csv"))
        write_text(written[-1], games_csv(games))
    for env, env_arms in arms.items():
        name = re.sub(r"[^A-Za-z0-9_.=-]+", "_", env)[:LONGEST_NAME] or "env"
        with explained_records(env_arms):
            drawn = [
                learning_curves(env, env_arms, inside(out, f"{name}.png"), (references or {}).get(env)),
                learned_tables(env, env_arms, inside(out, f"{name}-values.png")),
                projection_weights(env, env_arms, inside(out, f"{name}-weights.png")),
                decompositions(env, env_arms, inside(out, f"{name}-decomposition.png")),
            ]
        written += [figure for figure in drawn if figure is not None]
    for path in written:
        shown.print(str(path), style="dim", soft_wrap=True, highlight=False, markup=False)
    return runs


def inside(out: Path, name: str) -> Path:
    """A file of that name to write. UserError where a link there leads elsewhere."""
    check_inside(out / name, out)
    return out / name


@contextmanager
def explained_records(arms: Sequence[Arm]) -> Iterator[None]:
    """UserError, with the runs, where their numbers and tables are not such as a run leaves."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError) as error:
        counted = "\n    ".join(str(run.folder.path) for arm in arms for run in arm.counted)
        raise UserError(
            f"the records of one of these runs cannot be drawn: {type(error).__name__}: {error}\n    {counted}\n"
            "  next: mend its metrics.jsonl or tables.jsonl, or move the folder away"
        ) from error
