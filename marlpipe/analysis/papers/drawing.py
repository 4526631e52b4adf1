"""A figure of a paper with our curves in its axes: means with 95 % bands, and crosses where the paper's curves pass."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from marlpipe.analysis.palette import DASHES, PALETTE
from marlpipe.analysis.papers.curves import SeedCurve
from marlpipe.analysis.papers.figures import PaperFigure
from marlpipe.analysis.statistics.aggregates import mean
from marlpipe.analysis.statistics.bootstrap import curve_interval
from marlpipe.analysis.statistics.curves import common_grid, on_grid
from marlpipe.runs.files import os_errors_as_user_errors

PANEL = 5.2  # inches
GRID_POINTS = 200


def draw(figure: PaperFigure, curves: Sequence[SeedCurve], out: Path) -> None:
    """Writes a PNG with one panel per environment. UserError if it cannot be written."""
    drawn = Figure(figsize=(PANEL * len(figure.panels), 4.3), layout="constrained")
    panels = drawn.subplots(1, len(figure.panels), squeeze=False)[0]
    for axes, env in zip(panels, figure.panels, strict=True):
        for number, arm in enumerate(figure.arms):
            own = [one for one in curves if (one.env, one.arm) == (env, arm)]
            _draw_arm(axes, arm, own, figure.readings.get(env, {}).get(arm, ()), number)
        _dress(axes, figure, env)
    drawn.suptitle(figure.title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    with os_errors_as_user_errors("write", out):
        drawn.savefig(out, dpi=130)


def _draw_arm(
    axes: Axes, arm: str, runs: Sequence[SeedCurve], readings: Sequence[tuple[float, float]], number: int
) -> None:
    colour, dashes = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]
    if runs:
        curves = [(run.env_steps, run.returns) for run in runs]
        grid = common_grid(curves)
        grid = grid[:: 1 + len(grid) // GRID_POINTS]
        band = curve_interval(on_grid(curves, grid), mean)
        label = f"{arm} ({len(runs)} seed{'s' if len(runs) > 1 else ''})"
        axes.plot(grid, band.point, color=colour, linestyle=dashes, linewidth=2, label=label, zorder=3)
        axes.fill_between(grid, band.low, band.high, color=colour, alpha=0.18, linewidth=0)
    if readings:
        at, values = zip(*readings, strict=True)
        alone = None if runs else f"{arm} (the paper alone)"
        axes.plot(at, values, "x:", color=colour, markersize=7, markeredgewidth=2, label=alone, zorder=2)


def _dress(axes: Axes, figure: PaperFigure, env: str) -> None:
    axes.set_title(env, loc="left", fontsize=10)
    axes.set_title("band: 95 % of the mean; ×: the paper", loc="right", fontsize=8, color="0.35")
    axes.set_xlim(0, figure.env_steps)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("evaluation return")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best", fontsize=8)
