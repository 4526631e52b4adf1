"""`python -m benchmarks.studies.coverage`: how often 95 % intervals cover the truth, for docs/statistics.md."""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from benchmarks.options import positive
from marlpipe.analysis.statistics.aggregates import Scores, iqm, mean, median, optimality_gap
from marlpipe.analysis.statistics.bootstrap import Interval, interval, stretch
from marlpipe.analysis.statistics.differences import bootstrap_difference
from marlpipe.analysis.statistics.profiles import probability_of_improvement
from marlpipe.commands.command_line.ending import exit_with

RUNS = (3, 5, 10, 20)
MANY = 200_000  # runs that stand for the truth
DISTANCE = 0.5  # of the means of two methods, in standard deviations
UNEQUAL = ((3, 3, 1.0), (5, 5, 1.0), (10, 10, 1.0), (3, 10, 1.0), (5, 5, 3.0), (10, 3, 3.0), (3, 10, 3.0))
Draw = Callable[[np.random.Generator, int], Float[np.ndarray, " R"]]

SHAPES: dict[str, Draw] = {
    "normal": lambda draw, n: draw.normal(size=n),
    "log-normal, sigma 0.5": lambda draw, n: draw.lognormal(0, 0.5, size=n),
    "exponential": lambda draw, n: draw.exponential(size=n),
    "7 of 10 runs succeed": lambda draw, n: (draw.random(n) < 0.7) + 0.1 * draw.normal(size=n),
}
TASKS = ((0.1, 0.05), (0.4, 0.2), (0.5, 0.1), (0.8, 0.15), (0.95, 0.02))  # shift and stretch of a shape


@dataclass(frozen=True)
class Case:
    """A kind of scores, whose interval is examined for several numbers of runs."""

    name: str
    truth: float
    found: Callable[[np.random.Generator, int], Interval]  # of n fresh runs
    factor: Callable[[int], float]  # by which that interval was stretched


def cases(samples: int) -> Iterator[Case]:
    """One task, five tasks, and one method against another."""
    for shape, of in SHAPES.items():
        many = {"task": of(np.random.default_rng(0), MANY)}
        for statistic in (iqm, mean):
            yield Case(
                f"{statistic.name}, {shape}",
                statistic(many),
                lambda draw, n, of=of, statistic=statistic: interval(
                    {"task": of(draw, n)}, statistic, samples=samples, seed=int(draw.integers(2**31))
                ),
                lambda n, statistic=statistic: stretch(n, 1, 0.95, trims=int(statistic.trimmed * n) > 0),
            )
    for shape in ("normal", "exponential"):
        for statistic in (iqm, mean, median, optimality_gap):
            yield Case(
                f"{statistic.name} of five tasks, {shape}",
                statistic(five_tasks(SHAPES[shape], np.random.default_rng(0), MANY)),
                lambda draw, n, of=SHAPES[shape], statistic=statistic: interval(
                    five_tasks(of, draw, n), statistic, samples=samples, seed=int(draw.integers(2**31))
                ),
                lambda n: stretch(len(TASKS) * n, len(TASKS), 0.95),
            )
    yield Case(
        "probability of improvement, normal",
        float(norm.cdf(DISTANCE / math.sqrt(2))),
        lambda draw, n: probability_of_improvement(
            {"task": draw.normal(DISTANCE, size=n)},
            {"task": draw.normal(size=n)},
            samples=samples,
            seed=int(draw.integers(2**31)),
        ),
        lambda n: stretch(2 * n, 2, 0.95),
    )


def five_tasks(of: Draw, draw: np.random.Generator, n: int) -> Scores:
    """Tasks that differ in the mean and the spread of their runs."""
    return {str(task): lowest + spread * of(draw, n) for task, (lowest, spread) in enumerate(TASKS)}


def covered(case: Case, n: int, trials: int) -> tuple[float, float]:
    """The shares of trials whose interval covers the truth: ours, and the percentiles alone."""
    draw = np.random.default_rng(n)
    ours = alone = 0
    for _ in range(trials):
        point, low, high, *_ = case.found(draw, n)
        ours += low <= case.truth <= high
        alone += point + (low - point) / case.factor(n) <= case.truth <= point + (high - point) / case.factor(n)
    return ours / trials, alone / trials


def difference_covered(n: int, others: int, spread: float, trials: int, samples: int) -> float:
    """The share of trials whose interval covers the true difference of two means, 1.

    Args:
        n: runs of the better arm, of standard deviation 1.
        others: runs of the other one.
        spread: its standard deviation.
    """
    draw = np.random.default_rng(n)
    held = 0
    for trial in range(trials):
        ours, theirs = draw.normal(1.0, 1.0, n).tolist(), draw.normal(0.0, spread, others).tolist()
        _, low, high, _ = bootstrap_difference(ours, theirs, samples=samples, seed=trial)
        held += low <= 1.0 <= high
    return held / trials


def run(arguments: Sequence[str]) -> int:
    """Prints the rows of the table."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.studies.coverage", description=__doc__)
    asked.add_argument("--trials", type=positive, default=4000)
    asked.add_argument("--samples", type=positive, default=1000)
    given = asked.parse_args(arguments)
    print("| % of trials | " + " | ".join(f"{n} runs" for n in RUNS) + " |\n" + "|---" * (len(RUNS) + 1) + "|")
    for case in cases(given.samples):
        cells = (covered(case, n, given.trials) for n in RUNS)
        row = " | ".join(f"{100 * ours:.1f} ({100 * alone:.1f})" for ours, alone in cells)
        print(f"| {case.name} | {row} |", flush=True)
    print("\n| runs | others | standard deviation of the others | % of trials |\n" + "|---" * 4 + "|")
    for n, others, spread in UNEQUAL:
        held = difference_covered(n, others, spread, given.trials, given.samples)
        print(f"| {n} | {others} | {spread:g} | {100 * held:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    exit_with(run)
