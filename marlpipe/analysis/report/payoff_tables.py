"""Learned joint action values of a matrix game, next to its payoffs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from marlpipe.analysis.arms import Arm
from marlpipe.envs.rendering.payoff_table import draw_table
from marlpipe.runs.files import os_errors_as_user_errors

COLUMNS = 5


def payoff_tables(env: str, arms: Sequence[Arm], out: Path) -> Path | None:
    """Draws the payoffs and, for each arm, the last learned values of its first counted run, as PNG.

    All panels share one colour scale; the greedy joint action is framed.

    Returns:
        `out`, or None where no arm recorded a table of two agents.

    Raises:
        UserError: the file cannot be written.
    """
    found = {arm.name: row for arm in arms if (row := _last(arm)) is not None}
    if not found:
        return None
    truth = np.array(next(iter(found.values()))["eval/true_table"])
    panels = {"payoffs": truth, **{name: np.array(row["eval/learned_table"]) for name, row in found.items()}}
    rows = -(-len(panels) // COLUMNS)
    columns = min(COLUMNS, len(panels))
    figure = Figure(figsize=(2.3 * columns + 0.8, 2.4 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    largest = float(np.abs(truth).max())
    for place, (name, table) in zip(axes, panels.items(), strict=False):
        image = draw_table(place, name, table, largest)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    figure.colorbar(image, ax=list(axes), shrink=0.8, label="value of the joint action")
    figure.suptitle(f"{env}: first seed of each arm, its best joint action framed", fontsize=10, parse_math=False)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
    return out


def _last(arm: Arm) -> dict[str, Any] | None:
    rows = [row for run in arm.counted[:1] for row in run.folder.read_tables() if "eval/learned_table" in row]
    return rows[-1] if rows and np.array(rows[-1]["eval/learned_table"]).ndim == 2 else None
