"""Whether a claim of a paper holds in our runs: `holds`, `fails`, or `open` where intervals overlap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from marlpipe.analysis.papers.curves import SeedCurve
from marlpipe.analysis.papers.figures import Claim, PaperFigure
from marlpipe.analysis.statistics.aggregates import mean
from marlpipe.analysis.statistics.bootstrap import Interval, interval
from marlpipe.analysis.statistics.curves import FEW_SEEDS
from marlpipe.analysis.statistics.differences import Difference, bootstrap_difference
from marlpipe.analysis.statistics.efficiency import first_reach
from marlpipe.runs.curve import area_under_curve, final_return

Verdict = Literal["holds", "fails", "open", "not run"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A claim, what we measured for it, and the verdict."""

    figure: PaperFigure
    claim: Claim
    ours: str
    verdict: Verdict


def findings(figure: PaperFigure, curves: Sequence[SeedCurve]) -> list[Finding]:
    """Each claim of a figure, judged with the curves of its panel."""
    return [finding(figure, claim, [one for one in curves if one.env == claim.env]) for claim in figure.claims]


def finding(figure: PaperFigure, claim: Claim, curves: Sequence[SeedCurve]) -> Finding:
    """One claim; `not run` where an arm has no finished run, `open` where one has fewer than five seeds."""
    named = [arm for arm in (claim.higher, *claim.lower, *claim.similar, *claim.arms) if arm]
    scores = {arm: [measured(claim, curve) for curve in curves if curve.arm == arm] for arm in named}
    if missing := [arm for arm, values in scores.items() if not values]:
        return Finding(figure=figure, claim=claim, ours=f"no run of {', '.join(missing)}", verdict="not run")
    ours, verdict = (by_number if claim.arms else by_difference)(claim, scores)
    fewest = min(len(values) for values in scores.values())
    if fewest < FEW_SEEDS and verdict != "open":
        return Finding(figure=figure, claim=claim, ours=f"{ours}; {fewest} seeds", verdict="open")
    return Finding(figure=figure, claim=claim, ours=ours, verdict=verdict)


def measured(claim: Claim, curve: SeedCurve) -> float:
    """The number of one run that a claim compares. A return that is never reached counts as if at the run's end."""
    if claim.measure == "final":
        return final_return(curve.returns)
    if claim.measure == "area":
        early = curve.env_steps <= claim.until
        return area_under_curve(curve.env_steps[early], curve.returns[early])
    reached = first_reach(curve.env_steps, curve.returns, claim.threshold)
    return float(curve.env_steps[-1]) if reached is None else reached


def by_number(claim: Claim, scores: Mapping[str, Sequence[float]]) -> tuple[str, Verdict]:
    """Intervals of means on the claimed side of a number hold; one on the other side fails."""
    means = {arm: interval({"": np.array(values)}, mean) for arm, values in scores.items()}
    sides = [_side(claim, one) for one in means.values()]
    verdict: Verdict = "fails" if -1 in sides else "holds" if all(side == 1 for side in sides) else "open"
    return "; ".join(f"{arm} {_interval(one)}" for arm, one in means.items()), verdict


def _side(claim: Claim, found: Interval) -> int:
    """1: the interval of a mean lies on the claimed side, −1: on the other side, 0: the number is inside."""
    if claim.at_least is not None:
        return 1 if found.low >= claim.at_least else -1 if found.high < claim.at_least else 0
    assert claim.at_most is not None
    return 1 if found.high <= claim.at_most else -1 if found.low > claim.at_most else 0


def by_difference(claim: Claim, scores: Mapping[str, Sequence[float]]) -> tuple[str, Verdict]:
    """The first arm against each of the others."""
    first, *others = claim.similar or (claim.higher, *claim.lower)
    compared, verdicts = [f"{first} {_number(float(np.mean(scores[first])))}"], []
    for other in others:
        difference = bootstrap_difference(scores[first], scores[other])
        verdicts.append(_similar(claim.within)(difference) if claim.similar else _ordered(claim)(difference))
        compared.append(
            f"{other} {_number(float(np.mean(scores[other])))} "
            f"({_number(difference.mean, sign=True)} [{_number(difference.low, sign=True)}, "
            f"{_number(difference.high, sign=True)}])"
        )
    verdict: Verdict = (
        "fails" if "fails" in verdicts else "holds" if all(one == "holds" for one in verdicts) else "open"
    )
    return "; ".join(compared), verdict


def _ordered(claim: Claim) -> Callable[[Difference], Verdict]:
    direction = -1 if claim.measure == "env_steps" else 1

    def judged(difference: Difference) -> Verdict:
        if not difference.clear:
            return "open"
        return "holds" if difference.mean * direction > 0 else "fails"

    return judged


def _similar(within: float) -> Callable[[Difference], Verdict]:
    def judged(difference: Difference) -> Verdict:
        if -within <= difference.low and difference.high <= within:
            return "holds"
        return "fails" if difference.low > within or difference.high < -within else "open"

    return judged


def _interval(found: Interval) -> str:
    return f"{_number(found.point)} [{_number(found.low)}, {_number(found.high)}]"


def _number(value: float, *, sign: bool = False) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:{'+' if sign else ''}.0f}k"
    return f"{value:{'+' if sign else ''}.{0 if abs(value) >= 100 else 1}f}"
