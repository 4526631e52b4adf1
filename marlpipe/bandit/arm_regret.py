"""The regret of an arm with its bounds, at logarithmically spaced rounds; as CSV and as a table."""

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

LOGGED = 200  # rounds at most, evenly spaced in log t


class ArmRegret(NamedTuple):
    """The regret of an arm, a configuration of the grid, with B seeds at G of its rounds."""

    label: str
    seeds: tuple[int, ...]
    n_block_actions: int  # K_P
    rounds: Int[Tensor, " G"]
    regret: Float[Tensor, "G B"]  # cumulative
    printed_bound: Float[Tensor, " G"]
    corrected_bound: Float[Tensor, " G"]  # times √|P|


def logged_rounds(rounds: int) -> Int[Tensor, " G"]:
    """Rounds from 1 to T, including 1, T/5 and T, about equally spaced in log t."""
    spaced = {round(rounds ** (number / (LOGGED - 1))) for number in range(LOGGED)}
    return torch.tensor(sorted(spaced | {fifth(rounds)}))


def fifth(rounds: int) -> int:
    """T/5, rounded up."""
    return -(-rounds // 5)


def slope(arm: ArmRegret) -> float:
    """d log(regret) / d log(t) over the rounds from T/5 to T: least squares on the mean over seeds.

    It is 1 while actions are untried, 1/2 for the growth of the bound, less once the best actions are found. NaN with
    fewer than two rounds with regret.
    """
    rounds, mean = arm.rounds.numpy(), arm.regret.mean(1).numpy()
    fitted = (rounds >= fifth(int(rounds[-1]))) & (mean > 0)
    if fitted.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(rounds[fitted]), np.log(mean[fitted]), 1)[0])


def largest_share(arm: ArmRegret, bound: Float[Tensor, " G"]) -> float:
    """The highest ratio of regret to bound over seeds and logged rounds; NaN where no bound is known."""
    shares = arm.regret / bound.unsqueeze(1)
    return float(shares.masked_fill(shares.isnan(), -torch.inf).max()) if shares.isfinite().any() else math.nan


def regret_csv(arm: ArmRegret) -> str:
    """One row per logged round: the regret of every seed, and both bounds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["round", *(f"seed={seed}" for seed in arm.seeds), "printed_bound", "corrected_bound"])
    columns = (arm.rounds, arm.regret, arm.printed_bound, arm.corrected_bound)
    for t, each, printed, corrected in zip(*(column.tolist() for column in columns), strict=True):
        writer.writerow([t, *each, printed, corrected])
    return text.getvalue()


COLUMNS = (
    "",
    "arms K_P",
    "regret at T/5",
    "regret at T",
    "slope",
    "bound at T",
    "× √|P|",
    "highest regret / bound",
    "below",
)


def rows(regrets: Sequence[ArmRegret]) -> list[list[str]]:
    """The cells of each arm, in the order of `COLUMNS`."""
    return [
        [
            arm.label,
            str(arm.n_block_actions),
            mean_std(arm.regret[arm.rounds == fifth(int(arm.rounds[-1]))]),
            mean_std(arm.regret[-1:]),
            number(slope(arm), ".2f"),
            number(float(arm.printed_bound[-1]), ".0f"),
            number(float(arm.corrected_bound[-1]), ".0f"),
            number(largest_share(arm, arm.printed_bound), ".2g"),
            below(arm),
        ]
        for arm in regrets
    ]


def number(value: float, digits: str) -> str:
    """A dash for NaN."""
    return "–" if math.isnan(value) else format(value, digits)


def mean_std(regret: Float[Tensor, "1 B"]) -> str:
    """Mean ± sample standard deviation over seeds, without the latter for a single one."""
    mean = f"{regret.mean():.1f}"
    return f"{mean} ± {regret.std():.1f}" if regret.numel() > 1 else mean


def below(arm: ArmRegret) -> str:
    """Whether all seeds are below the bounds at all logged rounds."""
    printed, corrected = (largest_share(arm, bound) for bound in (arm.printed_bound, arm.corrected_bound))
    if math.isnan(printed):
        return "–"
    return "both" if printed <= 1 else "× √|P| only" if corrected <= 1 else "none"


def table(regrets: Sequence[ArmRegret]) -> Table:
    """The table for a terminal, one row per arm."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(COLUMNS):
        drawn.add_column(column, justify="right" if number else "left")
    for row in rows(regrets):
        drawn.add_row(*row)
    return drawn


def table_csv(regrets: Sequence[ArmRegret]) -> str:
    """The table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["arm", *COLUMNS[1:]], *rows(regrets)])
    return text.getvalue()
