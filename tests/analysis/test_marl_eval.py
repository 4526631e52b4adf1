"""The export against marl-eval's own rules, and what is said of what it leaves out."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run, load_run
from marlpipe.analysis.page.marl_eval import Export, marl_eval_export
from marlpipe.runs.absolute_metric import Absolute, absolute_file, write_absolute
from marlpipe.runs.files import write_text

MakeRun = Callable[..., Run]


def export(*runs: Run) -> Export:
    return marl_eval_export(by_env(runs))


def replayed(run: Run, *returns: float) -> Run:
    """As `python -m marlpipe evaluate FOLDER` leaves a run."""
    absolute_file(run.folder).parent.mkdir()
    write_absolute(run.folder, Absolute(returns=[*returns], best_return=float(run.returns.max()), seed=0))
    return run


def timed(run: Run, *wall_s: float) -> Run:
    """The same run with its evaluations at these times."""
    rows = zip(run.env_steps.tolist(), run.returns.tolist(), wall_s, strict=True)
    lines = [{"env_steps": step, "eval/return_mean": value, "wall_s": at} for step, value, at in rows]
    write_text(run.folder.metrics, "".join(json.dumps(line) + "\n" for line in lines))
    return load_run(run.folder.path)


def in_world(run: Run, target: str, episodes: int = 2) -> Run:
    write_text(run.folder.config, f"env:\n  _target_: {target}\nevaluation:\n  episodes: {episodes}\n")
    return run


def break_no_rule(data: Mapping[str, Any]) -> None:
    """What marl-eval's DiagnoseData checks, and that names are as its lower_case_dictionary_keys makes them."""
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    for tasks in data.values():
        algorithms = [sorted(task) for task in tasks.values()]
        runs = [list(algorithm) for task in tasks.values() for algorithm in task.values()]
        steps = [run for task in tasks.values() for algorithm in task.values() for run in algorithm.values()]
        metrics = [sorted(set(step) - {"step_count"}) for run in steps for step in run.values()]
        for same in (algorithms, runs, [list(run) for run in steps], metrics):
            assert all(each == same[0] for each in same)
        assert all("," not in name for names in algorithms for name in names)
        for name in [*data, *tasks, *algorithms[0], *runs[0], *steps[0], *metrics[0]]:
            assert name == name.lower()
        for run in steps:
            assert list(run)[-1] == "absolute_metrics"
            assert all("step_count" in step for name, step in run.items() if name != "absolute_metrics")


def test_runs_in_full(make_run: MakeRun) -> None:
    runs = [
        in_world(timed(make_run("qmix", seed, [1.0 + seed, 5.0, 3.0]), 0.0, 30.0, 60.0), "marlpipe.envs.x.CartPole", 1)
        for seed in (0, 1)
    ]
    data, messages = export(*(replayed(run, *[4.0 + seed, 6.0 + seed] * 5) for seed, run in enumerate(runs)))
    assert messages == ()
    break_no_rule(data)
    assert data["cartpole"]["cartpole"]["qmix"]["seed_1"] == {
        "step_0": {"step_count": 0, "elapsed_time": 0.0, "mean_episode_return": [2.0]},
        "step_1": {"step_count": 100, "elapsed_time": 30.0, "mean_episode_return": [5.0]},
        "step_2": {"step_count": 200, "elapsed_time": 60.0, "mean_episode_return": [3.0]},
        "absolute_metrics": {"elapsed_time": 60.0, "mean_episode_return": [6.0]},
    }
    assert list(data["cartpole"]["cartpole"]["qmix"]) == ["seed_0", "seed_1"]


def test_without_a_second_measurement_it_is_said_how_to_get_one(make_run: MakeRun) -> None:
    first = in_world(make_run(seed=0, returns=[1.0, 9.0, 3.0]), "x.CartPole", episodes=32)
    second = replayed(in_world(make_run(seed=1, returns=[1.0, 2.0, 3.0]), "x.CartPole", episodes=32), 100.0)
    data, messages = export(first, second)
    break_no_rule(data)
    runs = data["cartpole"]["cartpole"]["qmix"]
    assert [run["absolute_metrics"]["mean_episode_return"] for run in runs.values()] == [[9.0], [3.0]]  # in one way
    assert any("1 of 2 runs" in said and "python -m marlpipe evaluate FOLDER" in said for said in messages)


def test_too_few_episodes_of_the_second_measurement_are_said(make_run: MakeRun) -> None:
    data, messages = export(replayed(in_world(make_run(), "x.CartPole", episodes=2), 7.0, 8.0))
    assert data["cartpole"]["cartpole"]["qmix"]["seed_0"]["absolute_metrics"]["mean_episode_return"] == [7.5]
    assert any("fewer episodes than the 10 times" in said for said in messages)


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "[]", '{"returns": []}', '{"returns": [], "best_return": 1.0, "seed": 0}'),
        '{"returns": ["x"], "best_return": 1.0, "seed": 0}',
        '{"returns": [NaN], "best_return": 1.0, "seed": 0}',
        '{"returns": [1.0], "best_return": 0.5, "seed": 0}',  # of a policy that is not the best any more
    ],
)
def test_an_invalid_second_measurement_counts_as_none(make_run: MakeRun, text: str) -> None:
    run = make_run(returns=[0.0, 1.0])
    absolute_file(run.folder).parent.mkdir()
    write_text(absolute_file(run.folder), text)
    data, messages = export(run)
    break_no_rule(data)
    assert any("were not evaluated after training" in said for said in messages)


def test_tasks_of_one_world_share_algorithms_seeds_and_evaluations(make_run: MakeRun) -> None:
    world = "marlpipe.envs.payoff.PayoffGame"
    runs = [
        *(make_run("qmix", seed, range(5), env="payoff") for seed in (0, 1, 2)),
        *(make_run("vdn", seed, range(5), env="payoff") for seed in (0, 2, 3)),
        *(make_run("qmix", seed, range(3), env="payoff_2") for seed in (0, 2)),
        *(make_run("vdn", seed, range(3), env="payoff_2") for seed in (0, 2)),
        make_run("iql", 0, range(3), env="payoff_2"),
    ]
    data, messages = export(*(in_world(run, world) for run in runs))
    break_no_rule(data)
    assert {name: sorted(task) for name, task in data["payoffgame"].items()} == {
        "payoff": ["qmix", "vdn"],
        "payoff_2": ["qmix", "vdn"],
    }
    qmix = data["payoffgame"]["payoff"]["qmix"]
    assert sorted(qmix) == ["seed_0", "seed_2"]
    assert [step["step_count"] for name, step in qmix["seed_0"].items() if "step" in name] == [0, 200, 400]
    assert [step["mean_episode_return"] for name, step in qmix["seed_0"].items() if "step" in name] == [[0], [2], [4]]
    said = "\n".join(messages)
    assert "payoff_2, iql: left out, not in every task of payoffgame" in said
    assert "payoff, qmix: without seed 1," in said
    assert "payoff, vdn: without seed 3," in said
    assert "payoff: 3 of 5 evaluations" in said
    assert "without elapsed_time" in said


def test_evaluations_at_other_env_steps_are_interpolated(make_run: MakeRun) -> None:
    first, second = make_run(seed=0, returns=[0.0, 1.0, 2.0]), make_run(seed=1, returns=[0.0] * 4)
    rows = [(0, 0.0), (150, 3.0), (250, 4.0), (400, 4.0)]
    lines = [json.dumps({"env_steps": step, "eval/return_mean": value}) + "\n" for step, value in rows]
    write_text(second.folder.metrics, "".join(lines))
    data, messages = export(first, load_run(second.folder.path))
    break_no_rule(data)
    second_run = data["cartpole"]["cartpole"]["qmix"]["seed_1"]
    assert [step["mean_episode_return"] for name, step in second_run.items() if "step" in name] == [[0], [2], [3.5]]
    assert any("evaluated at different env steps" in said for said in messages)


def test_runs_that_cannot_be_exported_are_named(make_run: MakeRun) -> None:
    runs = [
        make_run("qmix", 0),
        make_run("qmix", 1, [1.0, float("nan"), 2.0]),
        make_run("vdn", 0, state="running"),
        make_run("QMIX", 0, arm="other", overrides=["partition=[[0,1],[2]]"]),
    ]
    data, messages = export(*runs)
    break_no_rule(data)
    said = "\n".join(messages)
    assert "qmix, seed 1: left out, an evaluation is not a number" in said
    assert "vdn: left out, no run of it has finished" in said
    assert list(data["cartpole"]["cartpole"]) == ["qmix", "qmix (other)"]


def test_a_name_with_commas_loses_them(make_run: MakeRun) -> None:
    runs = [
        make_run("lomaq", 0, arm="a", overrides=["partition=[[0,1],[2]]"]),
        make_run("lomaq", 0, arm="b", overrides=["partition=[[0],[1,2]]"]),
    ]
    data, _ = export(*runs)
    break_no_rule(data)
    assert list(data["cartpole"]["cartpole"]) == ["lomaq partition=[[0;1];[2]]", "lomaq partition=[[0];[1;2]]"]


def test_the_same_seed_twice_counts_once(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run(seed=0, returns=[1.0, 2.0])
    copied = first.folder.path.rename(tmp_path / "kept")
    data, messages = export(load_run(copied), make_run(seed=0, returns=[3.0, 4.0]))
    break_no_rule(data)
    assert np.isclose(data["cartpole"]["cartpole"]["qmix"]["seed_0"]["step_0"]["mean_episode_return"], 1.0).all()
    assert any("a second run of this seed" in said for said in messages)


def test_without_anything_in_common_an_environment_is_left_out(make_run: MakeRun) -> None:
    data, messages = export(make_run("qmix", 0), make_run("vdn", 1))
    assert data == {}
    assert any("no seed in common" in said for said in messages)
