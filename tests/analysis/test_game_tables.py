"""What a report tells of matrix games and of projection weights."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run, load_run
from marlpipe.analysis.report.games import game_summaries, games_csv, games_table
from marlpipe.analysis.report.payoff_tables import payoff_tables
from marlpipe.analysis.report.projection_weights import projection_weights
from marlpipe.analysis.report.report import report
from tests.analysis.conftest import MakeRun

TRUTH = [[8.0, -12.0], [-12.0, 0.0]]


@pytest.fixture
def played(make_run: MakeRun) -> list[Run]:
    """Two seeds of qmix, of which one finds the optimum; one seed of qpro, which does."""
    runs = []
    for label, seed, found, error in (("qmix", 0, 0.0, 6.0), ("qmix", 1, 1.0, 4.0), ("qpro", 0, 1.0, 7.0)):
        folder = make_run(label, seed, [0.0], env="payoff").folder
        for env_steps, reached in ((100, 0.0), (200, found)):  # only the last evaluation counts
            folder.append_metrics(
                {
                    "env_steps": env_steps,
                    "eval/return_mean": 8 * reached,
                    "eval/optimum_found": reached,
                    "eval/payoff_error": error,
                    "eval/igm_consistency": 1.0,
                }
            )
        folder.append_tables(
            {"env_steps": 200, "eval/learned_table": [[1.0, -1.0], [-1.0, error]], "eval/true_table": TRUTH}
        )
        runs.append(load_run(folder.path))
    return runs


def test_the_last_evaluation_of_each_seed_counts(played: list[Run]) -> None:
    qmix, qpro = game_summaries(by_env(played))
    assert (qmix.arm, qmix.seeds, qmix.found, qmix.fit_error.mean) == ("qmix", 2, 1, 5.0)
    assert (qpro.arm, qpro.seeds, qpro.found, qpro.igm.mean) == ("qpro", 1, 1, 1.0)


def test_one_table_for_all_games(played: list[Run], make_run: MakeRun) -> None:
    other = make_run("qmix", 0, [1.0], env="cartpole")
    summaries = game_summaries(by_env([*played, other]))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(games_table(summaries))
    told = console.export_text()
    assert "1/2 · 5 · 1" in told
    assert "cartpole" not in told
    rows = list(csv.DictReader(io.StringIO(games_csv(summaries))))
    assert [(row["env"], row["arm"], row["found"]) for row in rows] == [
        ("payoff", "qmix", "1"),
        ("payoff", "qpro", "1"),
    ]
    assert float(rows[0]["fit_error_std"]) == pytest.approx(2**0.5)
    assert rows[0]["q_star_error_mean"] == ""


def test_learned_tables_are_drawn_beside_the_payoffs(played: list[Run], make_run: MakeRun, tmp_path: Path) -> None:
    [arms] = by_env(played).values()
    assert payoff_tables("payoff", arms, tmp_path / "values.png") == tmp_path / "values.png"
    assert (tmp_path / "values.png").stat().st_size > 10_000
    [without] = by_env([make_run("iql")]).values()
    assert payoff_tables("cartpole", without, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_weights_are_drawn_where_they_differ(make_run: MakeRun, tmp_path: Path) -> None:
    graded, uniform = make_run("qpro").folder, make_run("qmix").folder
    for env_steps in (100, 200, 300):
        shares = np.zeros(40)
        shares[[4, 20, 39]] = 0.5, 0.25, 0.25
        graded.append_tables({"env_steps": env_steps, "train/projection_weights": shares.tolist()})
        uniform.append_tables({"env_steps": env_steps, "train/projection_weights": [0.0] * 39 + [1.0]})
    [both] = by_env([load_run(graded.path), load_run(uniform.path)]).values()
    assert projection_weights("cartpole", both, tmp_path / "weights.png") is not None
    assert (tmp_path / "weights.png").stat().st_size > 5_000
    [one] = by_env([load_run(uniform.path)]).values()
    assert projection_weights("cartpole", one, tmp_path / "none.png") is None


def test_the_report_has_all_of_it(played: list[Run], tmp_path: Path) -> None:
    report([run.folder.path for run in played], tmp_path / "out", console=Console(file=io.StringIO()))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "table.csv",
        "games.csv",
        "payoff.png",
        "payoff-values.png",
    }
