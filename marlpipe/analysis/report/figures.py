"""The figures of a report: up to four per environment, as far as its runs recorded what they show."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.output_files import file_stem, output_file
from marlpipe.analysis.report.learning_curves import learning_curves
from marlpipe.analysis.report.payoff_tables import payoff_tables
from marlpipe.analysis.report.projection_weights import projection_weights
from marlpipe.analysis.report.reward_tables import reward_tables
from marlpipe.errors import UserError


def draw_figures(env: str, arms: Sequence[Arm], out: Path, references: Mapping[str, float] | None) -> list[Path]:
    """Writes the figures of one environment and returns their paths.

    Args:
        references: returns to draw as horizontal lines, by name.

    Raises:
        UserError: a file cannot be written, or the runs' records cannot be drawn.
    """
    stem = file_stem(env)
    with _record_errors_as_user_errors(arms):
        drawn = [
            learning_curves(env, arms, output_file(out, f"{stem}.png"), references),
            payoff_tables(env, arms, output_file(out, f"{stem}-values.png")),
            projection_weights(env, arms, output_file(out, f"{stem}-weights.png")),
            reward_tables(env, arms, output_file(out, f"{stem}-decomposition.png")),
        ]
    return [figure for figure in drawn if figure is not None]


@contextmanager
def _record_errors_as_user_errors(arms: Sequence[Arm]) -> Iterator[None]:
    """UserError that names the runs, where their metrics or tables are not what a run writes."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError) as error:
        counted = "\n    ".join(str(run.folder.path) for arm in arms for run in arm.counted)
        raise UserError(
            f"the records of one of these runs cannot be drawn: {type(error).__name__}: {error}\n    {counted}\n"
            "  next: correct its metrics.jsonl or tables.jsonl, or move the folder away"
        ) from error
