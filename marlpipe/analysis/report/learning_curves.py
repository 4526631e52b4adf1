"""Learning curves of an environment: every run as a thin line, every arm as a mean with a band."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.palette import DASHES, PALETTE
from marlpipe.analysis.statistics.curves import common_grid, on_grid, spread
from marlpipe.runs.curve import final_return
from marlpipe.runs.files import os_errors_as_user_errors

LARGEST_LEGEND = 6  # with more arms, or a name longer than the next line, the legend stands beside the axes
LONGEST_NAME = 28


def learning_curves(
    env: str, arms: Sequence[Arm], out: Path, references: Mapping[str, float] | None = None
) -> Path | None:
    """Draws the evaluation returns of all arms of an environment over env steps, as PNG.

    Each run is a thin line, each arm a thick mean with a band from its lowest to its highest run, up to the last env
    step that all its runs have reached.

    Args:
        env: the title.
        out: the file to write.
        references: returns to draw as horizontal lines, by name, such as that of a random policy.

    Returns:
        `out`, or None where no run has been evaluated yet.

    Raises:
        UserError: the file cannot be written.
    """
    drawn = [(number, arm) for number, arm in enumerate(arms) if arm.counted]
    if not drawn:
        return None
    longest = max(len(arm.name) for _, arm in drawn)
    beside = len(drawn) > LARGEST_LEGEND or longest > LONGEST_NAME
    figure = Figure(figsize=(8.5 + 0.08 * longest if beside else 7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, arm in sorted(drawn, key=_final_return, reverse=True):  # the legend has the order of the curves
        _draw(axes, arm, PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)])
    for name, value in (references or {}).items():
        axes.axhline(value, color="0.35", linewidth=1, linestyle=(0, (6, 3)), zorder=1)
        axes.annotate(
            name,
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="0.35",
        )
    _dress(axes, env, beside=beside)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
    return out


def _draw(axes: Axes, arm: Arm, colour: str, dashes: str | tuple[float, tuple[float, ...]]) -> None:
    curves = [(run.env_steps, run.returns) for run in arm.counted]
    for env_steps, returns in curves:
        axes.plot(env_steps, returns, color=colour, linewidth=0.7, alpha=0.45, zorder=2)
    grid = common_grid(curves)
    heights = on_grid(curves, grid)
    n = len(curves)
    label = f"{arm.name} ({n} seed{'s' if n > 1 else ''}{', so far' if arm.partial else ''})"
    marker = "o" if len(grid) == 1 else None  # a single evaluation is no line
    axes.plot(
        grid, heights.mean(axis=0), color=colour, linestyle=dashes, linewidth=2.2, marker=marker, label=label, zorder=3
    )
    if n > 1:
        axes.fill_between(grid, heights.min(axis=0), heights.max(axis=0), color=colour, alpha=0.13, linewidth=0)


def _final_return(numbered: tuple[int, Arm]) -> float:
    height = spread([final_return(run.returns) for run in numbered[1].counted]).mean
    return -math.inf if math.isnan(height) else height


def _dress(axes: Axes, env: str, *, beside: bool) -> None:
    axes.set_title(env, loc="left", fontweight="bold", parse_math=False)
    axes.set_title("thick: mean, thin: seeds, band: lowest to highest seed", loc="right", fontsize=8, color="0.35")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("evaluation return (mean over episodes)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if beside:
        legend = axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    else:
        legend = axes.legend(frameon=False, loc="best", fontsize=9)
    for name in legend.get_texts():
        name.set_parse_math(False)
