"""What came of an arm: its regret and its bounds at some of the rounds, and what is told of them."""

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


class Outcome(NamedTuple):
    """An arm with B seeds at G of its rounds."""

    label: str
    seeds: tuple[int, ...]
    n_arms: int  # K_P
    rounds: Int[Tensor, " G"]
    regret: Float[Tensor, "G B"]  # summed up to each of these rounds
    printed_bound: Float[Tensor, " G"]
    corrected_bound: Float[Tensor, " G"]  # times √|P|


def logged_rounds(rounds: int) -> Int[Tensor, " G"]:
    """Rounds from 1 to T, both and T/5 among them, about equally far from each other in log t."""
    spaced = {round(rounds ** (number / (LOGGED - 1))) for number in range(LOGGED)}
    return torch.tensor(sorted(spaced | {fifth(rounds)}))


def fifth(rounds: int) -> int:
    """T/5, rounded up."""
    return -(-rounds // 5)


def slope(outcome: Outcome) -> float:
    """d log(regret) / d log(t) over the rounds from T/5 to T: least squares on the mean over seeds.

    1 while every arm has yet to be tried, 1/2 as the bound grows, and less where the best arms are found. NaN where
    there are fewer than two rounds with regret.
    """
    rounds, mean = outcome.rounds.numpy(), outcome.regret.mean(1).numpy()
    fitted = (rounds >= fifth(int(rounds[-1]))) & (mean > 0)
    if fitted.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(rounds[fitted]), np.log(mean[fitted]), 1)[0])


def largest_share(outcome: Outcome, bound: Float[Tensor, " G"]) -> float:
    """The highest regret over bound, of all seeds and logged rounds at which there is a bound; NaN without any."""
    shares = outcome.regret / bound.unsqueeze(1)
    return float(shares.masked_fill(shares.isnan(), -torch.inf).max()) if shares.isfinite().any() else math.nan


def regret_csv(outcome: Outcome) -> str:
    """One row per logged round: the regret of every seed, and both bounds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["round", *(f"seed={seed}" for seed in outcome.seeds), "printed_bound", "corrected_bound"])
    columns = (outcome.rounds, outcome.regret, outcome.printed_bound, outcome.corrected_bound)
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


def rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """What the table says of each arm, under `COLUMNS`."""
    return [
        [
            outcome.label,
            str(outcome.n_arms),
            mean_std(outcome.regret[outcome.rounds == fifth(int(outcome.rounds[-1]))]),
            mean_std(outcome.regret[-1:]),
            number(slope(outcome), ".2f"),
            number(float(outcome.printed_bound[-1]), ".0f"),
            number(float(outcome.corrected_bound[-1]), ".0f"),
            number(largest_share(outcome, outcome.printed_bound), ".2g"),
            below(outcome),
        ]
        for outcome in outcomes
    ]


def number(value: float, digits: str) -> str:
    """A dash where there is none."""
    return "–" if math.isnan(value) else format(value, digits)


def mean_std(regret: Float[Tensor, "1 B"]) -> str:
    """Mean ± sample standard deviation over seeds, without the latter for a single one."""
    mean = f"{regret.mean():.1f}"
    return f"{mean} ± {regret.std():.1f}" if regret.numel() > 1 else mean


def below(outcome: Outcome) -> str:
    """Whether all seeds are below the bounds at all logged rounds."""
    printed, corrected = (largest_share(outcome, bound) for bound in (outcome.printed_bound, outcome.corrected_bound))
    if math.isnan(printed):
        return "–"
    return "both" if printed <= 1 else "× √|P| only" if corrected <= 1 else "none"


def table(outcomes: Sequence[Outcome]) -> Table:
    """Arms below each other, for a terminal."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(COLUMNS):
        drawn.add_column(column, justify="right" if number else "left")
    for row in rows(outcomes):
        drawn.add_row(*row)
    return drawn


def table_csv(outcomes: Sequence[Outcome]) -> str:
    """The same for a file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["arm", *COLUMNS[1:]], *rows(outcomes)])
    return text.getvalue()
