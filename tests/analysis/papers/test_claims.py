"""Verdicts on a paper's claims, of curves whose numbers are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from marlpipe.analysis.papers.claims import findings, measured
from marlpipe.analysis.papers.curves import SeedCurve
from marlpipe.analysis.papers.figures import Claim, PaperFigure, paper_figures


def curve(arm: str, seed: int, returns: Sequence[float], env: str = "cartpole") -> SeedCurve:
    at = np.arange(len(returns))
    return SeedCurve(
        env=env, arm=arm, seed=seed, env_steps=1000 * at, minutes=at / 2, returns=np.array(returns, dtype=np.float64)
    )


def arm(name: str, finals: Sequence[float]) -> list[SeedCurve]:
    """A seed for each final return, on a straight line from 0."""
    return [curve(name, seed, [0.0, final / 2, final]) for seed, final in enumerate(finals)]


def judged(curves: Sequence[SeedCurve], **claim: Any) -> tuple[str, str]:
    asked = Claim(says="", paper="", env="cartpole", **claim)
    figure = PaperFigure(name="f", title="F: f", env_steps=1.0, panels=[], arms=[], readings={}, claims=[asked])
    [found] = findings(figure, curves)
    return found.verdict, found.ours


HIGH, LOW, WIDE = [100, 101, 99, 100, 102], [80, 82, 79, 81, 80], [60, 140, 85, 120, 95]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [(HIGH, LOW, "holds"), (LOW, HIGH, "fails"), (HIGH, WIDE, "open"), (HIGH[:4], LOW, "open"), (HIGH, [], "not run")],
)
@pytest.mark.parametrize("measure", ["final", "area", "env_steps"])
def test_one_arm_above_another(ours: list[float], theirs: list[float], verdict: str, measure: str) -> None:
    """Env steps to a return are fewer where the curve is higher."""
    curves = [*arm("a", ours), *arm("b", theirs), *arm("c", LOW)]
    claim = {"higher": "a", "lower": ["b"], "measure": measure, "threshold": 60.0}
    assert judged(curves, **claim)[0] == verdict


def test_one_arm_above_several() -> None:
    """All have to be clear to hold, and one the other way fails."""
    curves = [*arm("a", HIGH), *arm("b", LOW), *arm("wide", WIDE), *arm("best", [200, 201, 199, 200, 202])]
    assert judged(curves, higher="a", lower=["b", "wide"])[0] == "open"
    assert judged(curves, higher="a", lower=["b", "wide", "best"])[0] == "fails"
    _, told = judged(curves, higher="a", lower=["b"])
    assert told.startswith("a 100; b 80.4 (+20.0 [+1")


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"at_least": 95.0}, "holds"),
        ({"at_least": 105.0}, "fails"),
        ({"at_least": 100.4}, "open"),
        ({"at_most": 105.0}, "holds"),
        ({"at_most": 95.0}, "fails"),
        ({"at_most": 100.4}, "open"),
    ],
)
def test_arms_against_a_number(claim: dict[str, float], verdict: str) -> None:
    assert judged(arm("a", HIGH), arms=["a"], **claim)[0] == verdict
    assert judged([*arm("a", HIGH), *arm("b", HIGH)], arms=["a", "b"], **claim)[0] == verdict


@pytest.mark.parametrize(("within", "verdict"), [(30.0, "holds"), (10.0, "fails"), (20.0, "open")])
def test_similar_arms(within: float, verdict: str) -> None:
    assert judged([*arm("a", HIGH), *arm("b", LOW)], similar=["a", "b"], within=within)[0] == verdict


def test_only_curves_of_the_claims_panel_count() -> None:
    assert judged([curve("a", seed, [100.0], env="elsewhere") for seed in range(5)], arms=["a"], at_least=1.0)[0] == (
        "not run"
    )


def test_what_a_claim_measures() -> None:
    one = curve("a", 0, [0.0, 10.0, 30.0, 20.0, 40.0])
    claim = {"says": "", "paper": "", "env": "", "threshold": 20.0}
    assert measured(Claim(**claim), one) == 40.0
    assert measured(Claim(**claim, measure="area"), one) == pytest.approx((5 + 20 + 25 + 30) / 4)
    assert measured(Claim(**claim, measure="area", until=2000.0), one) == pytest.approx((5 + 20) / 2)
    assert measured(Claim(**claim, measure="env_steps"), one) == 1500
    assert measured(Claim(**{**claim, "threshold": 50.0}, measure="env_steps"), one) == 4000  # never


def test_the_claims_of_the_papers_are_of_arms_and_panels_that_their_figures_have() -> None:
    for figure in paper_figures():
        assert set(figure.readings) <= set(figure.panels)
        assert all(set(points) <= set(figure.arms) for points in figure.readings.values())
        for claim in figure.claims:
            named = {claim.higher, *claim.lower, *claim.similar, *claim.arms} - {""}
            assert claim.env in figure.panels
            assert named <= set(figure.arms)
            kinds = [bool(claim.higher), bool(claim.similar), claim.at_least is not None, claim.at_most is not None]
            assert sum(kinds) == 1, claim
            assert not claim.similar or claim.within > 0
            assert claim.measure != "env_steps" or claim.threshold > 0
