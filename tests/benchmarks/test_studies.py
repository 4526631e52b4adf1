"""The studies run, and count right."""

import math
import re

import numpy as np
import pytest

from benchmarks.studies import coverage, random_returns, wandb_cost
from marlpipe.analysis.statistics.bootstrap import Interval


def found(draw: np.random.Generator, n: int) -> Interval:
    """Covers 0 in half of all cases, and in every case once it is halved about its point."""
    point = float(draw.integers(2))
    return Interval(point, point - 0.5, point + 0.5, n, 0, (), False)


def test_coverage_counts_both_ways() -> None:
    case = coverage.Case("half", 0.0, found, lambda _: 0.5)
    ours, alone = coverage.covered(case, 5, 400)
    assert ours == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400))
    assert alone == 1.0  # percentiles twice as far from the point


def test_every_case_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    coverage.run(["--trials", "2", "--samples", "20"])
    table, differences = capsys.readouterr().out.split("\n\n")
    heading, rule, *rows = table.splitlines()
    assert len(rows) == 2 * len(coverage.SHAPES) + 2 * 4 + 1
    assert {row.count("|") for row in (heading, rule, *rows)} == {len(coverage.RUNS) + 2}
    assert len(differences.splitlines()) == 2 + len(coverage.UNEQUAL)


def test_a_difference_is_held_about_as_often_as_it_should() -> None:
    assert 0.88 <= coverage.difference_covered(5, 5, 1.0, trials=200, samples=200) <= 1.0
    assert coverage.difference_covered(5, 5, 1.0, trials=20, samples=1) < 0.5  # of one resample: no interval


def test_random_returns_of_a_game_are_its_mean_payoff(capsys: pytest.CaptureFixture[str]) -> None:
    random_returns.run(["payoff", "--batches", "1"])
    [mean, error] = re.findall(r"payoff: (\S+) ± (\S+), 500 episodes", capsys.readouterr().out)[0]
    assert float(mean) == pytest.approx((8 - 4 * 12) / 9, abs=4 * float(error))
    payoffs = np.array([8] + 4 * [-12] + 4 * [0])
    assert float(error) == pytest.approx(payoffs.std() / math.sqrt(500), rel=0.2)


def test_the_cost_of_wandb_has_a_row_per_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb_cost, "timed", lambda case, _server: (float(len(case)), 2.0))
    wandb_cost.run(["--repetitions", "2"])
    rows = re.findall(r"^\| (.+) \| (.+) \| 2\.00 \|$", capsys.readouterr().out, re.MULTILINE)
    assert rows == [(case, f"{len(case):.2f}") for case in wandb_cost.CASES]
