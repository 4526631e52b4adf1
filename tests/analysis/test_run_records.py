"""Run folders are found and read, whatever became of the run."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run, find_runs
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder

MakeRun = Callable[..., Run]


def test_a_run_comes_back_as_it_was_written(make_run: MakeRun) -> None:
    run = make_run("qpro", 3, [1.0, math.nan, 4.0], env="navigation", arm="beef", env_steps_per_s=50.0)
    who = run.identity
    assert (who.label, who.algo, who.env, who.seed, who.arm) == ("qpro", "qpro", "navigation", 3, "beef")
    assert run.env_steps.tolist() == [0, 100, 200]
    assert run.returns[[0, 2]].tolist() == [1.0, 4.0]
    assert math.isnan(run.returns[1])
    assert (run.status.state, run.status.env_steps_per_s) == ("finished", 50.0)


def test_an_evaluation_repeated_after_a_resume_counts_once(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(returns=[0.0, 1.0])
    run.folder.append_metrics({"env_steps": 100, "eval/return_mean": 1.5})
    again = find_runs([tmp_path])[0]
    assert again.env_steps.tolist() == [0, 100]
    assert again.returns.tolist() == [0.0, 1.5]


def test_a_run_that_died_early_is_named_after_its_folders(tmp_path: Path) -> None:
    RunFolder(tmp_path / "cartpole" / "qmix-wide-1a2b" / "seed=4").create().update_status(state="failed", reason="x")
    (run,) = find_runs([tmp_path])
    who = run.identity
    assert (who.env, who.label, who.arm, who.seed) == ("cartpole", "qmix-wide", "1a2b", 4)
    assert run.status.reason == "x"
    assert len(run.returns) == 0


def test_overlapping_roots_give_each_run_once(make_run: MakeRun, tmp_path: Path) -> None:
    first, second = make_run(seed=0), make_run(seed=1)
    found = find_runs([tmp_path, tmp_path / "multirun", first.folder.path, second.folder.path])
    assert [run.identity.seed for run in found] == [0, 1]


def test_nothing_found_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)no run found in .*python -m marlpipe -m"):
        find_runs([tmp_path])
    with pytest.raises(UserError, match="there is no folder"):
        find_runs([tmp_path / "multirnu"])


def test_arms_with_one_label_are_told_apart_by_what_was_typed(make_run: MakeRun) -> None:
    runs = [
        make_run("qmix", 0, arm="a", overrides=["env=cartpole", "partition=pairs"]),
        make_run("qmix", 1, arm="a", overrides=["env=cartpole", "partition=pairs"]),
        make_run("qmix", 0, arm="b", overrides=["env=cartpole", "partition=full"]),
        make_run("vdn", 0, overrides=["env=cartpole", "lr=0.1"]),
    ]
    arms = by_env(runs)["cartpole"]
    assert [(arm.name, len(arm.runs)) for arm in arms] == [
        ("qmix partition=pairs", 2),
        ("qmix partition=full", 1),
        ("vdn", 1),
    ]


def test_arms_that_nothing_tells_apart_get_their_hash(make_run: MakeRun) -> None:
    arms = by_env([make_run("qmix", 0, arm="a"), make_run("qmix", 0, arm="b")])["cartpole"]
    assert [arm.name for arm in arms] == ["qmix (a)", "qmix (b)"]


def test_finished_runs_count_and_others_only_while_there_is_none(make_run: MakeRun) -> None:
    done, failed, empty = make_run(seed=0), make_run(seed=1, state="failed"), make_run(seed=2, returns=[])
    (arm,) = by_env([done, failed, empty])["cartpole"]
    assert arm.counted == (done,)
    assert not arm.partial
    (early,) = by_env([failed, make_run(seed=3, state="running")])["cartpole"]
    assert [run.identity.seed for run in early.counted] == [1, 3]
    assert early.partial
