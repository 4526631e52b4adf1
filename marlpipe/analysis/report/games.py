"""Matrix games: seeds that find the optimum, error of the learned values, and IGM consistency of each arm."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.curves import Spread, spread

FOUND = "eval/optimum_found"


@dataclass(frozen=True, kw_only=True)
class GameSummary:
    """One arm in one game, at the last evaluation of each counted run."""

    env: str
    arm: str
    seeds: int
    found: int  # seeds whose greedy joint action is optimal
    fit_error: Spread  # root mean square over joint actions of learned value − payoff
    igm: Spread  # share of time steps at which the greedy joint action has the highest learned value
    q_star_error: Spread  # as the fit error, of the unrestricted Q*


def game_summaries(arms: Mapping[str, Sequence[Arm]]) -> list[GameSummary]:
    """The arms of all environments that are matrix games."""
    return [
        GameSummary(
            env=env,
            arm=arm.name,
            seeds=len(played),
            found=sum(run.last[FOUND] == 1 for run in played),
            fit_error=_over(played, "eval/payoff_error"),
            igm=_over(played, "eval/igm_consistency"),
            q_star_error=_over(played, "eval/payoff_error_q_star"),
        )
        for env, env_arms in arms.items()
        for arm in env_arms
        if (played := [run for run in arm.counted if FOUND in run.last])
    ]


def games_table(summaries: Sequence[GameSummary]) -> Table:
    """One row per arm, one column per game: seeds that find the optimum, fit error, IGM."""
    games = list(dict.fromkeys(summary.env for summary in summaries))
    cells = {(summary.arm, summary.env): summary for summary in summaries}
    table = Table(
        title="seeds that find the optimum · error of the learned values · IGM",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    for heading in ("arm", *games):
        table.add_column(Text(heading), justify="left" if heading == "arm" else "right", overflow="fold")
    for arm in dict.fromkeys(summary.arm for summary in summaries):
        table.add_row(Text(arm), *(_cell(cells.get((arm, game))) for game in games))
    return table


def games_csv(summaries: Sequence[GameSummary]) -> str:
    """The summaries as CSV, unrounded; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spreads = ("fit_error", "igm", "q_star_error")
    writer.writerow(
        ["env", "arm", "seeds", "found", *(f"{name}_{part}" for name in spreads for part in ("mean", "std"))]
    )
    for summary in summaries:
        numbers = [number for name in spreads for number in (getattr(summary, name).mean, getattr(summary, name).std)]
        cells = ["" if math.isnan(number) else number for number in numbers]
        writer.writerow([summary.env, summary.arm, summary.seeds, summary.found, *cells])
    return text.getvalue()


def _over(runs: Sequence[Run], name: str) -> Spread:
    return spread([run.last[name] for run in runs if name in run.last])


def _cell(summary: GameSummary | None) -> str:
    if summary is None:
        return "–"
    return f"{summary.found}/{summary.seeds} · {summary.fit_error.mean:.2g} · {summary.igm.mean:.2g}"
