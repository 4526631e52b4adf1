"""Learned rewards of the sets of two agents over what each observes: LOMAQ Figure 6."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from marlpipe.analysis.arms import Arm
from marlpipe.runs.files import os_errors_as_user_errors

SETS = {(0,): "$r_{1}$", (1,): "$r_{2}$", (0, 1): "$r_{12}$"}  # agents are counted from 1, as in the paper
PREDICTED = "$r_{pred}$"

Table = Float[np.ndarray, "D D"]


def reward_tables(env: str, arms: Sequence[Arm], out: Path) -> Path | None:
    """Draws r_1, r_2, r_12 and their sum over the two observations, a row for each arm's first counted run, as PNG.

    All panels share one colour scale. Arms without r_12 come first; its place stays empty.

    Returns:
        `out`, or None where no arm recorded such rewards.

    Raises:
        UserError: the file cannot be written.
    """
    rows = {arm.name: row for arm in arms if (row := _last(arm)) is not None}
    if not rows:
        return None
    found = dict(sorted(rows.items(), key=lambda item: (len(item[1]["decomposition/sets"]), item[0])))
    drawn = {name: _tables(row) for name, row in found.items()}
    largest = max(float(np.abs(table).max()) for tables in drawn.values() for table in tables.values())
    titles = [*SETS.values(), PREDICTED]
    figure = Figure(figsize=(2.2 * len(titles) + 1.2, 2.1 * len(drawn) + 0.6), layout="constrained")
    axes = figure.subplots(len(drawn), len(titles), squeeze=False)
    for places, (name, tables), row in zip(axes, drawn.items(), found.values(), strict=True):
        seen = row["decomposition/seen"]
        half = (seen[1] - seen[0]) / 2
        extent = (seen[0] - half, seen[-1] + half, seen[0] - half, seen[-1] + half)
        for place, title in zip(places, titles, strict=True):
            if title not in tables:
                place.set_axis_off()
                continue
            image = place.imshow(
                tables[title], cmap="PuOr_r", vmin=-largest, vmax=largest, origin="lower", extent=extent
            )
            place.set_title(title, fontsize=10)
            place.set_xlabel("agent 2", fontsize=8)
            place.set_ylabel("agent 1", fontsize=8)
            place.tick_params(labelsize=7)
        places[0].annotate(
            name,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-30, 14),
            textcoords="offset points",
            fontsize=8,
            color="0.35",
            parse_math=False,
        )
    figure.colorbar(image, ax=axes.flatten().tolist(), shrink=0.8, label="learned reward")
    title = f"{env}: learned rewards over what each agent sees, first seed of each arm"
    figure.suptitle(title, fontsize=10, parse_math=False)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
    return out


def _last(arm: Arm) -> dict[str, Any] | None:
    rows = [row for run in arm.counted[:1] for row in run.folder.read_tables() if "decomposition/rewards" in row]
    return rows[-1] if rows else None


def _tables(row: dict[str, Any]) -> dict[str, Table]:
    """By title; the row is what agent 1 observes, the column what agent 2 observes."""
    sets = [tuple(int(agent) for agent in members) for members in row["decomposition/sets"]]
    of_sets = {
        SETS[members]: np.array(table) for members, table in zip(sets, row["decomposition/rewards"], strict=True)
    }
    return {**of_sets, PREDICTED: np.array(row["decomposition/predicted"])}
