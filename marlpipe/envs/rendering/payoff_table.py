"""Draws the learned joint action values of a matrix game of two agents."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

LARGEST_SHOWN = 6  # actions per agent up to which cells show their values as numbers

Table = Float[np.ndarray, "A A"]


def table_pixels(truth: Table, learned: Table) -> UInt8[np.ndarray, "H W 3"]:
    """The payoffs and the learned values, side by side in one colour scale."""
    figure = Figure(figsize=(5, 2.8), layout="compressed")
    canvas: Any = FigureCanvasAgg(figure)  # which matplotlib gives no types
    panels = {"payoffs": truth, "learned": learned}
    for axes, (name, table) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        draw_table(axes, name, table, float(np.abs(truth).max()))
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def draw_table(axes: Axes, name: str, table: Table, largest: float) -> AxesImage:
    """Draws a table with colours from -`largest` to `largest`; the greedy joint action is framed."""
    image = axes.imshow(table, cmap="PuOr_r", vmin=-largest, vmax=largest)
    axes.set_title(name, fontsize=9, parse_math=False)
    axes.set_xlabel("agent 1", fontsize=8)
    axes.set_ylabel("agent 0", fontsize=8)
    axes.set_xticks(range(table.shape[1]))
    axes.set_yticks(range(table.shape[0]))
    row, column = np.unravel_index(int(table.argmax()), table.shape)
    axes.plot(
        [column - 0.45, column + 0.45, column + 0.45, column - 0.45, column - 0.45],
        [row - 0.45, row - 0.45, row + 0.45, row + 0.45, row - 0.45],
        color="black",
        linewidth=1.5,
    )
    if len(table) <= LARGEST_SHOWN:
        for (i, j), value in np.ndenumerate(table):
            dark = abs(value) > 0.6 * largest
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
    return image
