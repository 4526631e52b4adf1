"""The distribution of projection weights over training (QPro, figure 3)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from marlpipe.analysis.arms import Arm
from marlpipe.runs.files import os_errors_as_user_errors

HISTOGRAM = "train/projection_weights"
SMALLEST_SHARE = 1e-4


def projection_weights(env: str, arms: Sequence[Arm], out: Path) -> Path | None:
    """Draws the share of weights in each bin of [0, 1] over env steps, of each arm's first counted run, as PNG.

    Returns:
        `out`, or None where all transitions have weight 1 in all arms.

    Raises:
        UserError: the file cannot be written.
    """
    found = {arm.name: histograms for arm in arms if (histograms := _histograms(arm)) is not None}
    if not found:
        return None
    figure = Figure(figsize=(4.2 * len(found) + 1, 3.4), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for place, (name, (env_steps, shares)) in zip(axes, found.items(), strict=True):
        edges = np.linspace(0, 1, shares.shape[1] + 1)
        image = place.pcolormesh(
            np.concatenate([[0], env_steps]),
            edges,
            shares.T.clip(min=SMALLEST_SHARE),
            norm=LogNorm(SMALLEST_SHARE, 1),
            cmap="viridis",
        )
        place.set_title(name, fontsize=9, parse_math=False)
        place.set_xlabel("environment steps")
        place.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0].set_ylabel("projection weight w")
    figure.colorbar(image, ax=list(axes), label="share of the batch's transitions")
    figure.suptitle(f"{env}: first seed of each arm", fontsize=10, parse_math=False)
    with os_errors_as_user_errors("write", out):
        figure.savefig(out, dpi=160)
    return out


def _histograms(arm: Arm) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K W"]] | None:
    rows = [row for run in arm.counted[:1] for row in run.folder.read_tables() if HISTOGRAM in row]
    shares = np.array([row[HISTOGRAM] for row in rows])
    if not len(shares) or (shares[:, -1] == 1).all():
        return None
    return np.array([row["env_steps"] for row in rows]), shares
