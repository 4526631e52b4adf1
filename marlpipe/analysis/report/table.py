"""The comparison as a table for the terminal, and as CSV."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.curves import FEW_SEEDS, Spread
from marlpipe.analysis.statistics.efficiency import Reached
from marlpipe.analysis.statistics.paper_returns import PaperReturn
from marlpipe.analysis.summaries import ArmSummary, verdict
from marlpipe.runs.display import COLOURS, duration

COLUMNS = (
    "env",
    "arm",
    "runs",
    "finished",
    "failed",
    "seeds_counted",
    "partial",
    "final_return_mean",
    "final_return_std",
    "area_mean",
    "area_std",
    "rival",
    "difference",
    "difference_low",
    "difference_high",
    "indicative",
    "env_steps_per_s",
    "wall_s",
    "reached",
    "reached_env_steps",
    "reached_minutes",
)


def comparison_table(env: str, summaries: Sequence[ArmSummary], paper: PaperReturn | None = None) -> RenderableType:
    """The arms of one environment, best first, with the verdict and the failed runs below.

    Each arm is compared with the best of the others, with the 95 % bootstrap interval of the difference in brackets.

    Args:
        paper: the return of which the summaries say how soon it is reached.
    """
    table = Table(
        title=Text(env, style="bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    headings = ("arm", "seeds", "final return", "area", "against the best other", "env steps/s", "wall")
    for heading in (*headings, *([f"to {paper.value:g}"] if paper else [])):
        # in a narrow terminal these two remain readable over several lines
        table.add_column(
            heading,
            justify="left" if heading == "arm" else "right",
            no_wrap=heading not in ("seeds", "against the best other"),
            overflow="fold",
        )
    for summary in sorted(summaries, key=_best_first):
        table.add_row(
            Text(summary.arm.name + (" (so far)" if summary.arm.partial else "")),
            _seeds(summary),
            _spread(summary.final),
            _spread(summary.area),
            _difference(summary),
            "–" if summary.env_steps_per_s is None else f"{summary.env_steps_per_s:,.0f}",
            duration(summary.wall_s),
            *([_reached(summary.reached)] if summary.reached else []),
        )
    below = [Text(said, style="bold")] if (said := verdict(summaries)) else []
    marked = [summary for summary in summaries if summary.difference and summary.difference.indicative]
    if any(not math.isnan(summary.difference.low) for summary in marked if summary.difference):
        below.append(Text(f"* only indicative: fewer than {FEW_SEEDS} seeds", style="dim"))
    if any(len(summary.arm.counted) > 1 for summary in summaries):
        below.append(Text("± is one standard deviation over seeds, [ ] a 95 % bootstrap interval", style="dim"))
    if paper:
        said = f"to {paper.value:g}: env steps and time until half of the seeds are there ({paper.source})"
        below.append(Text(said, style="dim"))
    return Group(table, *below, *_failures([run for summary in summaries for run in summary.arm.runs]))


def comparison_csv(comparisons: Mapping[str, Sequence[ArmSummary]]) -> str:
    """The same numbers, unrounded, one row per environment and arm; unknown values are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for env, summaries in comparisons.items():
        for summary in summaries:
            writer.writerow({name: _cell(value) for name, value in _row(env, summary).items()})
    return text.getvalue()


def _row(env: str, summary: ArmSummary) -> dict[str, str | float | int | bool | None]:
    difference = summary.difference
    return {
        "env": env,
        "arm": summary.arm.name,
        "runs": len(summary.arm.runs),
        "finished": summary.states.get("finished", 0),
        "failed": summary.states.get("failed", 0),
        "seeds_counted": summary.final.n,
        "partial": summary.arm.partial,
        "final_return_mean": summary.final.mean,
        "final_return_std": summary.final.std,
        "area_mean": summary.area.mean,
        "area_std": summary.area.std,
        "rival": summary.rival,
        "difference": difference.mean if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "indicative": difference.indicative if difference else None,
        "env_steps_per_s": summary.env_steps_per_s,
        "wall_s": summary.wall_s,
        "reached": summary.reached.reached if summary.reached else None,
        "reached_env_steps": summary.reached.env_steps if summary.reached else None,
        "reached_minutes": summary.reached.minutes if summary.reached else None,
    }


def _cell(value: str | float | int | bool | None) -> str | float | int | bool:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _best_first(summary: ArmSummary) -> float:
    return math.inf if math.isnan(summary.final.mean) else -summary.final.mean


def _spread(values: Spread) -> str:
    if values.n == 0:
        return "–"
    return f"{values.mean:.4g}" + ("" if math.isnan(values.std) else f" ± {values.std:.2g}")


def _seeds(summary: ArmSummary) -> Text:
    """The number of counted runs, and the states of the others."""
    said = Text(str(summary.final.n))
    for state, n in summary.states.items():
        if state != "finished":
            said.append(f", {n} {state}", style=COLOURS[state])
    return said


def _difference(summary: ArmSummary) -> str:
    difference = summary.difference
    if difference is None:
        return "–"
    if math.isnan(difference.low):
        return f"{difference.mean:+.3g}"
    mark = "*" if difference.indicative else ""
    return f"{difference.mean:+.3g} [{difference.low:+.3g}, {difference.high:+.3g}]{mark}"


def _reached(at: Reached) -> str:
    if math.isinf(at.env_steps) or math.isnan(at.env_steps):
        return f"{at.reached} of {at.runs} seeds"
    return f"{at.env_steps:,.0f}, {duration(60 * at.minutes)}"


def _failures(runs: Sequence[Run]) -> list[Text]:
    failed = [run for run in runs if run.status.state == "failed"]
    if not failed:
        return []
    lines = [Text(f"{len(failed)} failed:", style="bold red")]
    for run in failed:
        reason = (run.status.reason or "no reason was recorded").splitlines()[0]
        lines.append(Text(f"  {run.identity.label} seed={run.identity.seed}: {reason}\n    {run.folder.console}"))
    return lines
