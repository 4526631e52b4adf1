"""The regret of all arms over rounds, with their bounds, on logarithmic axes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from marlpipe.bandit.outcome import Outcome
from marlpipe.runs.files import os_errors_as_user_errors

# Okabe and Ito's colours, told apart with any kind of colour vision; yellow is left out, it is faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LOWEST = 1e-3  # what a regret of zero is drawn as


def draw(outcomes: Sequence[Outcome], title: str, out: Path) -> None:
    """Writes a PNG. UserError where the disk refuses."""
    longest = max(len(outcome.label) for outcome in outcomes)
    size = (8.7 + 0.07 * longest, max(5.0, 2.0 + 0.2 * len(outcomes)))  # in inches: the legend stands beside the axes
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    many = len(outcomes) > len(COLOURS)
    colours = colormaps["turbo"](np.linspace(0, 1, len(outcomes))) if many else COLOURS[: len(outcomes)]
    arms = []
    for colour, outcome in zip(colours, outcomes, strict=True):
        rounds, n = outcome.rounds, len(outcome.seeds)
        regret = outcome.regret.clamp(min=LOWEST)
        axes.plot(rounds, regret.mean(1), color=colour, linewidth=2.2)
        axes.fill_between(rounds, regret.amin(1), regret.amax(1), color=colour, alpha=0.2, linewidth=0)
        axes.plot(rounds, outcome.printed_bound, color=colour, linewidth=1.2, linestyle="--")
        axes.plot(rounds, outcome.corrected_bound, color=colour, linewidth=1.2, linestyle=":")
        arms.append(Line2D([], [], color=colour, linewidth=2.2, label=f"{outcome.label} ({n} seed{'s' * (n > 1)})"))
    styles = [
        Line2D([], [], color="0.3", linewidth=2.2, label="regret: mean over seeds,\nlowest to highest"),
        Line2D([], [], color="0.3", linewidth=1.2, linestyle="--", label="bound of Theorem 1\nas printed"),
        Line2D([], [], color="0.3", linewidth=1.2, linestyle=":", label="bound times √|P|"),
    ]
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axes.set_xlabel("round t")
    axes.set_ylabel("regret up to round t, in units of the team's reward")
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(handles=[*arms, *styles], frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
