"""The comparison: who is better by how much, as a table, as CSV, as figures."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread
from rich.console import Console

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.palette import PALETTE
from marlpipe.analysis.report.learning_curves import learning_curves
from marlpipe.analysis.report.report import report
from marlpipe.analysis.summaries import compare, verdict
from marlpipe.errors import UserError
from tests.support.command import verb

run = verb("report")

MakeRun = Callable[..., Run]


@pytest.fixture
def tree(make_run: MakeRun, tmp_path: Path) -> Path:
    """Two arms of three seeds whose final returns are 10, 12, 14 and 1, 2, 3; one more run that failed."""
    for seed in range(3):
        make_run("qpro", seed, [0.0, 5.0, 10.0 + 2 * seed], env_steps_per_s=100.0, wall_s=60.0)
        make_run("vdn", seed, [0.0, 0.5, 1.0 + seed], env_steps_per_s=300.0, wall_s=30.0)
    make_run("vdn", 3, [99.0], state="failed", reason="RuntimeError: no luck\nmore")
    return tmp_path / "multirun"


def printed(tree: Path, out: Path) -> str:
    text = io.StringIO()
    report([tree], out, console=Console(file=text, width=140))
    return text.getvalue()


def test_the_table_says_who_is_better_by_how_much(tree: Path, tmp_path: Path) -> None:
    text = printed(tree, tmp_path / "out")
    lines = text.splitlines()
    best = next(line for line in lines if line.strip().startswith("qpro"))
    second = next(line for line in lines if line.strip().startswith("vdn"))
    assert lines.index(best) < lines.index(second)
    for part in ("12 ± 2", "5.5 ± 0.5", "+10 [", "]*", "100", "1 min 00 s"):
        assert part in best
    for part in ("3, 1 failed", "2 ± 1", "-10 [", "300"):
        assert part in second
    assert "qpro is better than vdn by 10 (95 % interval" in text
    assert "only indicative: fewer than 5 seeds" in text
    assert "vdn seed=3: RuntimeError: no luck" in text
    assert "more" not in text
    assert "99" not in text  # a failed run is listed, not averaged


def test_the_csv_holds_the_same_numbers(tree: Path, tmp_path: Path) -> None:
    printed(tree, tmp_path / "out")
    rows = {row["arm"]: row for row in csv.DictReader(io.StringIO((tmp_path / "out" / "table.csv").read_text()))}
    assert (rows["qpro"]["final_return_mean"], rows["qpro"]["final_return_std"]) == ("12.0", "2.0")
    assert (rows["vdn"]["runs"], rows["vdn"]["failed"], rows["vdn"]["seeds_counted"]) == ("4", "1", "3")
    assert rows["vdn"]["difference"] == "-10.0"
    assert -15 <= float(rows["vdn"]["difference_low"]) < -10 < float(rows["vdn"]["difference_high"]) <= -5
    assert rows["vdn"]["indicative"] == "True"


def test_one_figure_per_environment_and_the_paths_are_told(tree: Path, tmp_path: Path, make_run: MakeRun) -> None:
    make_run("qmix", 0, env="two/worlds")
    text = printed(tree, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.csv", "cartpole.png", "two_worlds.png"}
    assert str(tmp_path / "out" / "cartpole.png") in text


def test_runs_that_agree_are_not_clearly_different(make_run: MakeRun) -> None:
    runs = [make_run(label, seed, [1.0 + seed]) for label in ("qmix", "vdn") for seed in range(5)]
    said = verdict(compare(by_env(runs)["cartpole"]))
    assert said is not None
    assert "are not clearly different" in said
    assert "indicative" not in said


def test_one_seed_gives_a_difference_without_an_interval(make_run: MakeRun) -> None:
    summaries = compare(by_env([make_run("qmix", 0, [3.0]), make_run("vdn", 0, [1.0])])["cartpole"])
    assert verdict(summaries) == "qmix ends 2 above vdn; an arm with a single run has no interval"


def test_an_arm_that_is_still_running_is_shown_but_not_compared(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("qmix", 0, [3.0])
    make_run("vdn", 0, [1.0])
    make_run("qpro", 0, [50.0], state="running")
    make_run("iql", 0, [], state="queued")
    text = printed(tmp_path / "multirun", tmp_path / "out")
    assert "qpro (so far)" in text
    assert "1 queued" in text
    assert "qmix ends 2 above vdn" in text


def test_a_lone_arm_has_no_rival(make_run: MakeRun) -> None:
    (summary,) = compare(by_env([make_run()])["cartpole"])
    assert summary.difference is None
    assert verdict([summary]) is None


def test_the_figure_shows_arms_and_references(make_run: MakeRun, tmp_path: Path) -> None:
    arms = by_env([make_run(label, seed, [0.0, 3.0, 4.0 + seed]) for label in ("qmix", "vdn") for seed in (0, 1)])
    plain = learning_curves("cartpole", arms["cartpole"], tmp_path / "plain.png")
    lined = learning_curves("cartpole", arms["cartpole"], tmp_path / "lined.png", {"optimum": 4.5})
    assert plain is not None
    assert lined is not None
    pixels = (imread(plain)[..., :3] * 255).round().astype(int)
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 1000
    seen = {tuple(pixel) for row in pixels[::3] for pixel in row[::3].tolist()}
    for colour in PALETTE[:2]:
        assert tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5)) in seen
    assert (imread(lined) != imread(plain)).any()


def test_no_evaluation_no_figure(make_run: MakeRun, tmp_path: Path) -> None:
    arms = by_env([make_run(returns=[])])["cartpole"]
    assert learning_curves("cartpole", arms, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_an_unwritable_place_is_explained(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="cannot make the folder"):
        printed(tree, tmp_path / "out")


def test_the_command_writes_beside_the_runs(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "marlpipe", "report", str(tree)], capture_output=True, text=True, check=True
    )
    assert "qpro is better than vdn" in done.stdout
    assert (tree / "report" / "cartpole.png").exists()


def test_the_command_fails_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run found in"):
        run([str(tmp_path)])
