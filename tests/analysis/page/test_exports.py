"""What goes to other tools, and the absolute metric on its way to the page."""

import json
from pathlib import Path

import numpy as np
import pytest

from marlpipe.analysis.page.comparison import comparison
from marlpipe.analysis.page.page import page
from marlpipe.analysis.page.sections import MEASURE
from marlpipe.runs.absolute_metric import Absolute, absolute_file, write_absolute
from marlpipe.runs.folder import RunFolder
from tests.analysis.page.grid_of_runs import write_run
from tests.support.command import verb

run = verb("compare")


def measured(folder: RunFolder, *returns: float) -> None:
    absolute_file(folder).parent.mkdir()
    best = max(row.get("eval/return_mean", -1e9) for row in folder.read_metrics())
    write_absolute(folder, Absolute(returns=[*returns], best_return=best, seed=0))


def written(root: Path) -> Path:
    assert run([str(root)]) == 0
    return root / "comparison"


def test_scores_have_the_shape_that_rliable_takes(tmp_path: Path) -> None:
    """Runs by tasks; random actions earn 20 in the runs' table of payoffs, the best 220."""
    for env, height in (("cartpole", 120.0), ("payoff", 220.0)):
        for seed in range(3 if env == "payoff" else 2):
            write_run(tmp_path, env, "qmix", seed, [20.0, height + 10 * seed])
    out = written(tmp_path)
    with np.load(out / "scores.npz") as told:
        assert told.files == ["tasks", "scores/qmix"]
        assert told["tasks"].tolist() == ["cartpole", "payoff"]
        expected = [[0.5, 1.0], [0.55, 1.05]]
        assert told["scores/qmix"] == pytest.approx(np.array(expected))
    assert "scores.npz: qmix: the first 2 runs of each task, 1 left out" in (out / "exports.txt").read_text()


def test_marl_eval_reads_the_runs(tmp_path: Path) -> None:
    for seed in range(2):
        measured(write_run(tmp_path, "cartpole", "qmix", seed, [1.0, 3.0]), 2.0, 2.5)
    out = written(tmp_path)
    told = json.loads((out / "marl_eval.json").read_text())
    runs = told["world"]["cartpole"]["qmix"]
    assert list(runs) == ["seed_0", "seed_1"]
    assert runs["seed_0"]["step_1"]["mean_episode_return"] == [3.0]
    assert runs["seed_0"]["absolute_metrics"]["mean_episode_return"] == [2.25]


def test_the_absolute_metric_is_shown_where_every_run_has_it(tmp_path: Path) -> None:
    for seed in range(5):
        measured(write_run(tmp_path, "cartpole", "qmix", seed, [1.0, 300.0]), 200.0 + seed, 210.0 + seed)
        write_run(tmp_path, "cartpole", "vdn", seed, [1.0, 100.0])
    told = comparison([tmp_path])
    first, second = told.envs[0].evidence.arms
    assert first.absolute is not None
    assert first.absolute.point == pytest.approx(207.0)  # the mean of the middle three of 205 to 209
    assert second.absolute is None
    text = page(told)
    assert MEASURE in text
    assert ">207 <small>[" in text


def test_a_policy_that_is_not_the_best_any_more_does_not_count(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 300.0])
    measured(folder, 200.0)
    folder.append_metrics({"env_steps": 9000, "eval/return_mean": 301.0})
    assert comparison([tmp_path]).envs[0].evidence.arms[0].absolute is None


def test_names_of_arms_are_no_arguments(tmp_path: Path) -> None:
    """Of numpy's own functions: a run may be called anything."""
    for name in ("file", "allow_pickle", "tasks"):
        write_run(tmp_path, "cartpole", name, 0, [1.0, 2.0])
    with np.load(written(tmp_path) / "scores.npz") as told:
        assert set(told.files) == {"tasks", "scores/file", "scores/allow_pickle", "scores/tasks"}
