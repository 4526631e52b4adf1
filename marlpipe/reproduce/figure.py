"""The curve of then and that of now, one upon the other."""

from pathlib import Path

from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy import ndarray

from marlpipe.records.files import explained


def draw(then: Float[ndarray, "2 K"], now: Float[ndarray, "2 L"], departs_at: float | None, out: Path) -> None:
    """Writes both curves of returns over env steps as PNG, with a line where the metrics depart.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*then, color="0.65", linewidth=4.5, marker="o", markersize=6, label="then")
    axes.plot(*now, color="#0072B2", linewidth=1.4, marker="o", markersize=2.5, label="now")
    if departs_at is not None:
        axes.axvline(departs_at, color="#D55E00", linewidth=1, linestyle=(0, (5, 3)), label="metrics depart")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("evaluation return (mean over episodes)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    with explained("write", out):
        figure.savefig(out, dpi=160)
