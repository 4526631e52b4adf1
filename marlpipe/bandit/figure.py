"""The regret of all arms over rounds, with their bounds, on logarithmic axes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from marlpipe.bandit.arm_regret import ArmRegret
from marlpipe.runs.files import os_errors_as_user_errors

# Okabe and Ito's colours, distinguishable with any kind of colour vision; without yellow, which is faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LOWEST = 1e-3  # drawn for a regret of zero, which a logarithmic axis cannot show


def draw(regrets: Sequence[ArmRegret], title: str, out: Path) -> None:
    """Writes a PNG. UserError where the disk refuses."""
    longest = max(len(arm.label) for arm in regrets)
    size = (8.7 + 0.07 * longest, max(5.0, 2.0 + 0.2 * len(regrets)))  # in inches: the legend stands beside the axes
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    many = len(regrets) > len(COLOURS)
    colours = colormaps["turbo"](np.linspace(0, 1, len(regrets))) if many else COLOURS[: len(regrets)]
    lines = []
    for colour, arm in zip(colours, regrets, strict=True):
        rounds, n = arm.rounds, len(arm.seeds)
        regret = arm.regret.clamp(min=LOWEST)
        axes.plot(rounds, regret.mean(1), color=colour, linewidth=2.2)
        axes.fill_between(rounds, regret.amin(1), regret.amax(1), color=colour, alpha=0.2, linewidth=0)
        axes.plot(rounds, arm.printed_bound, color=colour, linewidth=1.2, linestyle="--")
        axes.plot(rounds, arm.corrected_bound, color=colour, linewidth=1.2, linestyle=":")
        lines.append(Line2D([], [], color=colour, linewidth=2.2, label=f"{arm.label} ({n} seed{'s' * (n > 1)})"))
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
    axes.legend(handles=[*lines, *styles], frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
