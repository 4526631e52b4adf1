"""`python -m marlpipe evaluate`: the table is what a rollout of the best policy brings, and the films show it."""

import csv
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from imageio_ffmpeg import count_frames_and_secs
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from marlpipe.commands.evaluate.outcome import episodes_csv, measured
from marlpipe.commands.evaluate.play_again import default_fps, play
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.envs.rendering.draw import pixels
from marlpipe.envs.rendering.filmed import Filmed
from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.runs.absolute_metric import absolute_file, read_absolute
from marlpipe.runs.folder import RunFolder
from marlpipe.training.checkpoints import save
from marlpipe.training.rollout import rollout
from marlpipe.training.session import train
from marlpipe.types import EpisodeBatch
from tests.support.command import exit_status, verb
from tests.support.synthetic import RaggedWorld
from tests.training.test_resume import task

run = verb("evaluate")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three carts."""
    folder = tmp_path_factory.mktemp("runs") / "cartpole" / "vdn-12345678" / "seed=0"
    overrides = ("algo=vdn", "env.time_limit=12", "env.time_limit_is_terminal=false")
    train(task(folder, *overrides))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to write into."""
    return shutil.copytree(trained, tmp_path / "runs" / "cartpole" / "vdn-12345678" / "--seed=0")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluation" / "episodes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def world_and_policy(folder: Path) -> tuple[Any, Agent]:
    """From the run's files, without the code under test."""
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    env = build_env(config)
    agent = build_algorithm(config, env).agent
    agent.load_state_dict(torch.load(folder / "checkpoints" / "best.pt", weights_only=True)["agent"])
    return env, agent


def played_again(folder: Path, episodes: int, seed: int, epsilon: float = 0.0) -> EpisodeBatch:
    return rollout(*world_and_policy(folder), episodes, epsilon, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_the_table_is_what_a_rollout_brings(epsilon: float, folder: Path) -> None:
    assert run([folder, "--episodes=16", "--seed=5", f"--epsilon={epsilon}"]) == 0
    expected, rows = played_again(folder, 16, 5, epsilon), table(folder)
    assert [int(row["episode"]) for row in rows] == list(range(16))
    for episode, row in enumerate(rows):
        length = int(row["length"])
        assert expected.valid[episode].sum() == length
        assert (row["end"] == "terminated") == bool(expected.terminated[episode, length - 1])
        own = [float(row[f"return_agent_{agent}"]) for agent in range(3)]
        assert own == expected.rewards[episode].sum(0).tolist()
        assert float(row["return"]) == sum(own) > 0
    assert len({row["return"] for row in rows}) > 1


def test_the_seed_is_the_evaluation(folder: Path) -> None:
    tables = []
    for arguments in ([], ["--seed=0"], ["--seed=1"], ["--format=png", "--film=2"]):
        assert run([folder, "--episodes=6", *arguments]) == 0
        tables.append(table(folder))
    assert tables[0] == tables[1] == tables[3]  # being filmed changes nothing
    assert tables[2] != tables[0]
    run([folder])
    assert len(table(folder)) == 2  # evaluation.episodes of the run


def test_the_summary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([folder, "--episodes=16", "--seed=5"])
    returns = played_again(folder, 16, 5).rewards.sum((1, 2))
    said = capsys.readouterr().out
    here, there = (
        re.split(r"\s{2,}", line.strip()) for line in said.splitlines() if "±" in line and "mean" not in line
    )
    mean_std = f"{returns.mean():.4g} ± {returns.std(correction=0):.4g}"
    assert here[:4] == ["16 episodes, seed 5", mean_std, f"{returns.min():.4g}", f"{returns.max():.4g}"]
    evaluations = [row for row in RunFolder(folder).read_metrics() if "eval/return_mean" in row]
    best = max(evaluations, key=lambda row: row["eval/return_mean"])
    mean_std = f"{best['eval/return_mean']:.4g} ± {best['eval/return_std']:.4g}"
    assert there[:2] == [f"best evaluation, at {int(best['env_steps'])} env steps", mean_std]
    assert str(folder / "evaluation" / "episodes.csv") in said


def test_mp4_of_two_episodes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([folder, "--episodes=4", "--seed=5", "--video", "--film=2", "--fps=20"]) == 0
    said = capsys.readouterr().out
    for episode, row in enumerate(table(folder)[:2]):
        path = folder / "evaluation" / f"episode-{episode}.mp4"
        frames = int(row["length"]) + 1  # the end is seen as well
        assert count_frames_and_secs(str(path)) == (frames, pytest.approx(frames / 20))
        assert str(path) in said
    assert not (folder / "evaluation" / "episode-2.mp4").exists()


def test_gif(folder: Path) -> None:
    assert run([folder, "--episodes=1", "--format=gif"]) == 0
    [row] = table(folder)
    with Image.open(folder / "evaluation" / "episode-0.gif") as film:
        assert film.n_frames == int(row["length"]) + 1
        assert film.info["duration"] == 670  # 12 env steps in 8 s
        first = numpy.array(film.convert("RGB"))
        film.seek(film.n_frames - 1)
        assert (numpy.array(film.convert("RGB")) != first).any()


def test_png_is_the_moment_halfway(folder: Path) -> None:
    assert run([folder, "--episodes=1", "--format=png"]) == 0
    env, agent = world_and_policy(folder)
    filmed = Filmed(env, copies=1)
    rollout(filmed, agent, 1, 0.0, torch.Generator().manual_seed(0))
    [scenes] = filmed.scenes
    with Image.open(folder / "evaluation" / "episode-0.png") as picture:
        assert (numpy.array(picture) == pixels(scenes[(len(scenes) - 1) // 2])).all()


def test_true_is_gif_where_there_is_no_ffmpeg(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert run([folder, "--episodes=1", "--video"]) == 0
    assert [path.name for path in sorted((folder / "evaluation").iterdir())] == ["episode-0.gif", "episodes.csv"]
    assert "pip install 'imageio-ffmpeg" in capsys.readouterr().out


def test_a_run_that_has_only_its_config_and_its_policy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that is named as seen from where the command is typed."""
    bare = RunFolder(tmp_path / "bare").create()
    shutil.copy(RunFolder(folder).config, bare.config)
    shutil.copy(RunFolder(folder).best_policy, bare.best_policy)
    monkeypatch.chdir(tmp_path)
    assert run(["bare", "--episodes=3"]) == 0
    assert len(table(bare.path)) == 3
    assert re.search(r"best evaluation +\d\S* ± – +– +– +–", capsys.readouterr().out)


def test_a_game_of_one_env_step_that_pays_the_team(tmp_path: Path) -> None:
    """With a policy that was not trained, since a game's film is about what it takes."""
    folder = RunFolder(tmp_path).create()
    register_resolvers()
    with compose_api(config_folder()):
        config = compose_run(["algo=vdn", "env=payoff", "logger=none"], config_folder())
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    OmegaConf.save(config, folder.config, resolve=True)
    agent = build_algorithm(config, build_env(config)).agent
    save({"agent": agent.state_dict(), "return_mean": 0.0}, folder.best_policy)
    assert run([tmp_path, "--episodes=2", "--format=gif"]) == 0
    payoff = played_again(tmp_path, 2, 0).team_rewards[0].item()
    assert table(tmp_path) == [
        {"episode": str(episode), "return": str(payoff), "length": "1", "end": "terminated"} for episode in range(2)
    ]
    with Image.open(tmp_path / "evaluation" / "episode-0.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (2, 1000)


def test_the_end_of_an_episode_that_others_outlast() -> None:
    """By hand: two episodes of one and three env steps, the second cut by a time limit."""
    batch = EpisodeBatch(
        obs=torch.zeros(2, 4, 2, 1),
        state=torch.zeros(2, 4, 1),
        avail_actions=torch.ones(2, 4, 2, 3, dtype=torch.bool),
        actions=torch.zeros(2, 3, 2, dtype=torch.long),
        rewards=torch.tensor([[[1.0, 0.5], [0, 0], [0, 0]], [[1.0, 2.0], [3.0, -4.0], [5.0, 6.0]]]),
        terminated=torch.tensor([[True, False, False], [False, False, False]]),
        valid=torch.tensor([[True, False, False], [True, True, True]]),
    )
    shared = "episode,return,length,end\n0,1.5,1,terminated\n1,13.0,3,truncated\n"
    assert episodes_csv(batch, local_rewards=False) == shared
    own = "return_agent_0,return_agent_1\n0,1.5,1,terminated,1.0,0.5\n1,13.0,3,truncated,9.0,4.0\n"
    assert episodes_csv(batch, local_rewards=True) == f"episode,return,length,end,{own}"
    assert measured(batch) == {
        "eval/return_mean": 7.25,
        "eval/return_std": 5.75,
        "eval/return_min": 1.5,
        "eval/return_max": 13.0,
        "eval/length_mean": 2.0,
    }


@pytest.mark.parametrize(("horizon", "fps"), [(1, 1.0), (40, 5.0), (200, 25.0), (1000, 25.0)])
def test_a_full_episode_takes_eight_seconds_as_far_as_eyes_follow(horizon: int, fps: float) -> None:
    assert default_fps(horizon) == fps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not there.*valid: the folder of a run, multirun/ENV/ALGO-HASH/seed=SEED$"),
        (["{}", "--epsiode=3"], "the option '--epsiode' does not exist. Did you mean '--episodes'.*valid: --device"),
        (["{}", "--episodes=0"], "--episodes=0 is not possible.*a whole number from 1 to"),
        (["{}", "--episodes=1.5"], "--episodes=1.5 is not possible"),
        (["{}", "--seed", "-1"], "--seed=-1 is not possible.*from 0 to 1048576"),
        (["{}", "--epsilon=nan"], "--epsilon=nan is not possible.*from 0 to 1"),
        (["{}", "--fps=0"], "--fps=0 is not possible"),
        (["{}", "--format=avi"], "--format: the value 'avi' does not exist.*valid: gif, mp4, png"),
        (
            ["{}", "--video", "--episodes=3", "--film=4"],
            "--film=4 is more than there are episodes.*at most --episodes=3",
        ),
        (["{}", "--device=abacus"], "--device=abacus cannot be used.*valid: cpu"),
        (["{}", "second"], "got unexpected extra argument.*valid: marlpipe evaluate"),
        (["runs", "--film=2", "--format=gif"], "runs is not the folder of one run, which --format, --film needs"),
    ],
)
def test_bad_input(arguments: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parents[3])
    with pytest.raises(UserError, match=f"(?s){message}"):
        run([argument.format(folder) for argument in arguments])
    assert not (folder / "evaluation").exists()


def test_no_policy_yet(folder: Path) -> None:
    (folder / "checkpoints" / "best.pt").unlink()
    RunFolder(folder).update_status(state="running")
    with pytest.raises(UserError, match=r"(?s)no best policy yet: checkpoints/best.pt comes with.*The run is running"):
        run([folder])


@pytest.mark.parametrize("change", ["hidden", "torn"])
def test_a_policy_that_is_not_the_configs(change: str, folder: Path) -> None:
    if change == "hidden":
        config = OmegaConf.load(folder / "config.yaml")
        OmegaConf.save(OmegaConf.merge(config, {"agent": {"hidden": 9}}), folder / "config.yaml")
    else:
        whole = (folder / "checkpoints" / "best.pt").read_bytes()
        (folder / "checkpoints" / "best.pt").write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"(?s)best.pt does not hold the network of config.yaml.*run.json names"):
        run([folder])


def test_a_world_that_does_not_say_what_it_looks_like() -> None:
    world = RaggedWorld()
    agent = FeedForwardAgent(spec=world.spec, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True)
    batch, films = play(world, agent, 3, 0.0, torch.Generator(), filmed=0)
    assert (len(batch.obs), films) == (3, [])
    with pytest.raises(UserError, match=r"(?s)RaggedWorld cannot be filmed.*next: leave --video out, or .*`scene`"):
        play(world, agent, 3, 0.0, torch.Generator(), filmed=1)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(monkeypatch, "evaluate", "nowhere") == 2
    message = "marlpipe: nowhere is not there.\n  valid: the folder of a run, multirun/ENV/ALGO-HASH/seed=SEED\n"
    assert capsys.readouterr() == ("", message)


def test_the_absolute_metric_of_a_grid(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten times the episodes of an evaluation, of the finished runs, each once."""
    runs = tmp_path / "runs"
    first, second, open_run = (
        RunFolder(shutil.copytree(trained, runs / "cartpole" / "vdn-12345678" / f"--seed={seed}")) for seed in range(3)
    )
    open_run.update_status(state="interrupted")
    second.best_policy.write_bytes(b"nothing")
    assert run([runs]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("1 best policies measured, 1 could not be measured\nnext: marlpipe compare ")
    assert str(second.best_policy) in told.err
    measured = read_absolute(first)
    assert measured is not None
    usual = OmegaConf.load(first.config).evaluation.episodes
    expected = played_again(first.path, 10 * usual, 0).team_rewards.sum(1)
    assert measured.returns == expected.tolist()
    assert measured.mean == pytest.approx(expected.mean().item())
    assert measured.best_return == max(row.get("eval/return_mean", -1e9) for row in first.read_metrics())
    assert not absolute_file(second).exists()
    assert not absolute_file(open_run).exists()

    at = absolute_file(first).stat().st_mtime_ns
    run([runs])
    assert absolute_file(first).stat().st_mtime_ns == at  # measured already
    run([runs, "--episodes=3"])
    assert len((read_absolute(first) or measured).returns) == 3


def test_the_absolute_metric_of_nothing_finished(folder: Path) -> None:
    RunFolder(folder).update_status(state="running")
    with pytest.raises(UserError, match=r"none of the 1 runs in .* is finished\.\n  next: marlpipe status"):
        run([folder.parent])
