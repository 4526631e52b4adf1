"""The learning curves and performance profiles of the page as PNG and PDF, for a paper."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from marlpipe.analysis.output_files import output_file
from marlpipe.analysis.page.evidence import ArmEvidence, EnvEvidence
from marlpipe.analysis.page.tasks import TaskEvidence
from marlpipe.analysis.palette import DASHES, PALETTE
from marlpipe.analysis.statistics.bootstrap import Band
from marlpipe.runs.files import os_errors_as_user_errors

KINDS = ("png", "pdf")
MOST_NAMED = 20  # arms in a legend: the best ones
LONGEST_NAME = 60  # characters


def env_figure(env: EnvEvidence, colours: Mapping[str, int], out: Path, name: str) -> list[Path]:
    """Learning curves and performance profile of one environment.

    Args:
        colours: the palette index of each arm, by name.
        out: the folder.
        name: of the files, without ending.

    Returns:
        The files; none where no run has an evaluation.

    Raises:
        UserError: a file cannot be written.
    """
    drawn = [one for one in env.arms if one.arm.counted]
    if not drawn:
        return []
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    curves, profile = figure.subplots(1, 2, width_ratios=(3, 2))
    for one in reversed(drawn):
        _curve(curves, one, colours[one.arm.name])
        _band(profile, env.thresholds, one.profile, colours[one.arm.name], few=one.few)
    _dress(curves, env.env, "environment steps", "evaluation return")
    curves.set_title("thick: IQM, band: 95 %, thin: seeds", loc="right", fontsize=8, color="0.35")
    curves.xaxis.set_major_formatter(EngFormatter(sep=""))
    _dress(profile, "performance profile", "final return above", "share of runs")
    profile.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legend(figure, curves)
    return _saved(figure, out, name)


def tasks_figure(tasks: TaskEvidence, colours: Mapping[str, int], out: Path) -> list[Path]:
    """The performance profile of normalised scores; no file where there are none."""
    if not tasks.profiles:
        return []
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for arm, band in reversed(list(tasks.profiles.items())):
        _band(axes, tasks.thresholds, band, colours[arm], few=False, label=arm)
    _dress(axes, "all environments together", "normalised score above", "share of runs")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legend(figure, axes)
    return _saved(figure, out, "tasks")


def _curve(axes: Axes, one: ArmEvidence, number: int) -> None:
    colour = PALETTE[number % len(PALETTE)]
    curves = [np.column_stack([run.env_steps, run.returns]) for run in one.arm.counted]
    axes.add_collection(LineCollection(curves, colors=colour, linewidths=0.7, alpha=0.7 if one.few else 0.3, zorder=2))
    seeds = f"{len(one.finals)} seed{'s' * (len(one.finals) != 1)}{', so far' if one.arm.partial else ''}"
    _band(axes, one.grid, one.band, number, few=one.few, label=f"{one.arm.name[:LONGEST_NAME]} ({seeds})")


def _band(
    axes: Axes,
    xs: Shaped[np.ndarray, " G"],
    band: Band,
    number: int,
    *,
    few: bool,
    label: str | None = None,
) -> None:
    colour, dashes = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]
    marker = "o" if len(xs) == 1 else None  # a single evaluation is no line
    axes.plot(xs, band.point, color=colour, linestyle=dashes, linewidth=2.0, marker=marker, label=label, zorder=3)
    if not few:
        axes.fill_between(xs, band.low, band.high, color=colour, alpha=0.15, linewidth=0)


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title[:LONGEST_NAME], loc="left", fontweight="bold", parse_math=False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, axes: Axes) -> None:
    """The best arms first, which were drawn last."""
    handles, labels = axes.get_legend_handles_labels()
    best = list(zip(handles, labels, strict=True))[::-1][:MOST_NAMED]
    legend = figure.legend(
        [handle for handle, _ in best],
        [label for _, label in best],
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    for name in legend.get_texts():
        name.set_parse_math(False)


def _saved(figure: Figure, out: Path, name: str) -> list[Path]:
    files = [output_file(out, f"{name}.{kind}") for kind in KINDS]
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)  # otherwise each file would be laid out and drawn again
    for file in files:
        with os_errors_as_user_errors("write", file):
            figure.savefig(file, dpi=160)
    return files
