"""What a search has found: a table of the best trials, the best one's command, all trials as CSV, and a picture."""

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table

from marlpipe.analysis.palette import PALETTE
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors, write_text
from marlpipe.runs.text import printable

MOST_SHOWN = 10  # trials in the table
FRESH_SEEDS = 5  # of the command that measures the best trial
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A trial that is over, with the overrides of its runs, but for the seed and for what makes them a search's."""

    trial: FrozenTrial
    overrides: list[str]

    @property
    def value(self) -> float | None:
        """The objective; None if it failed."""
        return self.trial.value


def best_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The first of those with the highest objective; None where all have failed."""
    return max((trial for trial in trials if trial.values), key=lambda trial: trial.values, default=None)


def report(
    folder: Path, kept: Sequence[Kept], seeds: Sequence[int], objective: str, console: Console | None = None
) -> None:
    """Writes `trials.csv` and `history.png` into the folder of a search, and prints what it has found.

    Args:
        objective: what is maximised, in words.

    Raises:
        UserError: every trial has failed, or the disk refuses.
    """
    write_text(folder / "trials.csv", trials_csv(kept))
    ranked = sorted((one for one in kept if one.value is not None), key=lambda one: -(one.value or 0.0))
    failed = [one for one in kept if one.value is None]
    if not ranked:
        raise UserError(
            f"all {len(failed)} trials have failed, the first by\n    {failed[0].trial.user_attrs['reason']}\n"
            f"  next: another space under another hydra.sweeper.name, or move {folder} away to begin anew"
        )
    draw_history(kept, folder / "history.png", objective)
    shown = console or Console()
    if console is None and not shown.is_terminal:
        shown = Console(width=FILE_WIDTH)
    shown.print(table(ranked[:MOST_SHOWN], of=len(kept), objective=objective))
    for one in failed:
        reason = printable(f"trial {one.trial.number + 1} failed: {one.trial.user_attrs['reason']}")
        shown.print(reason, soft_wrap=True, highlight=False, markup=False)
    lines = (
        "the best, measured with seeds that did not choose it:",
        "    " + command(ranked[0], seeds),
        "all trials, how the search went, and its storage:",
        *(f"    {folder / name}" for name in ("trials.csv", "history.png", "trials.journal")),
    )
    for line in lines:
        shown.print(line, soft_wrap=True, highlight=False, markup=False)


def command(best: Kept, seeds: Sequence[int]) -> str:
    """A grid of the best trial's values and of seeds that the search has not seen: those that it has chose them."""
    fresh = range(max(seeds) + 1, max(seeds) + 1 + FRESH_SEEDS)
    return shlex.join(["python", "-m", "marlpipe", "-m", *best.overrides, f"seed={','.join(map(str, fresh))}"])


def table(ranked: Sequence[Kept], of: int, objective: str) -> Table:
    """The best trials, with the values of each and the objective of each of its seeds."""
    shown = Table(title=f"The best of {of} trials: {objective}, over all seeds")
    shown.add_column("trial", justify="right")
    for key in ranked[0].trial.params:
        shown.add_column(key.removeprefix("profile."), justify="right", overflow="fold")
    shown.add_column("objective", justify="right")
    shown.add_column("seeds alone", justify="right")
    for one in ranked:
        seeds = " ".join(f"{value:.4g}" for value in one.trial.user_attrs["seeds"].values())
        values = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in one.trial.params.values())
        shown.add_row(str(one.trial.number + 1), *values, f"{one.value:.4g}", seeds)
    return shown


def trials_csv(kept: Sequence[Kept]) -> str:
    """A row per trial, in their order: values, objective, that of each seed, the runs' folder, why it failed."""
    text = io.StringIO()
    keys = list(kept[0].trial.params)
    seeds = list(dict.fromkeys(seed for one in kept for seed in one.trial.user_attrs["seeds"]))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *keys, "objective", *seeds, "runs", "failed"])
    for one in kept:
        attributes = one.trial.user_attrs
        by_seed = [attributes["seeds"].get(seed, "") for seed in seeds]
        value = "" if one.value is None else one.value
        chosen = [one.trial.params[key] for key in keys]
        writer.writerow(
            [one.trial.number + 1, *chosen, value, *by_seed, attributes.get("run", ""), attributes["reason"] or ""]
        )
    return text.getvalue()


def draw_history(kept: Sequence[Kept], out: Path, objective: str) -> None:
    """Every trial, its seeds, and the best so far, as PNG. UserError where it cannot be written."""
    figure = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    done = [(one.trial.number + 1, one.value, one.trial.user_attrs["seeds"]) for one in kept if one.value is not None]
    for number, _, seeds in done:
        axes.scatter([number] * len(seeds), list(seeds.values()), s=12, color="0.75", zorder=1)
    numbers, values = [number for number, *_ in done], [value for _, value, _ in done]
    axes.scatter(numbers, values, s=30, color=PALETTE[0], zorder=3, label="trial (its seeds in grey)")
    highest = [max(values[: place + 1]) for place in range(len(values))]
    axes.step(numbers, highest, where="post", color=PALETTE[1], linewidth=2, zorder=2, label="best so far")
    failed = [one.trial.number + 1 for one in kept if one.value is None]
    if failed:
        bottom = axes.get_xaxis_transform()
        axes.plot(failed, [0] * len(failed), "x", color="0.2", transform=bottom, clip_on=False, label="failed")
    axes.set_title("objective of each trial", loc="left", fontweight="bold")
    axes.set_xlabel("trial")
    axes.set_ylabel(objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best", fontsize=9)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
