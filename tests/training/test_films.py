"""Pictures of evaluations: as many as were asked for, there before the evaluation is told, and without any effect."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.envs.cartpole import CartPole
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.callbacks.pictures import MOST_SCENES, Pictures, episode_frames, table_frames
from tests.training import test_resume
from tests.training.test_resume import equal, killed, stopping, trained

TOTAL = 130
SHORT = (f"env_steps={TOTAL}", "evaluation.every_env_steps=30")
FILMED = (*SHORT, "evaluation.films=3")
pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]


def evaluations(folder: RunFolder) -> list[int]:
    return [int(row["env_steps"]) for row in folder.read_metrics() if "eval/return_mean" in row]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with films that nothing interrupts."""
    return trained(tmp_path_factory.mktemp("whole"), *FILMED)


class Unseen:
    """A world that says nothing of what it looks like."""

    def __init__(self, env: CartPole) -> None:
        self.spec, self.reset, self.observe, self.step = env.spec, env.reset, env.observe, env.step


def drawn(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.pictures.glob("*"))}


def test_films_are_spread_over_the_run_and_there_before_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, there = RunFolder.append_metrics, dict[int, int]()

    def counted(self: RunFolder, row: dict[str, Any]) -> None:
        if "eval/return_mean" in row:
            there[row["env_steps"]] = len(self.pictures_at(row["env_steps"]))
        append(self, row)

    monkeypatch.setattr(RunFolder, "append_metrics", counted)
    folder = trained(tmp_path, *FILMED)
    at = evaluations(folder)
    due = [min(env_steps for env_steps in at if env_steps >= target) for target in (TOTAL / 3, 2 * TOTAL / 3, TOTAL)]
    assert there == {env_steps: int(env_steps in due) for env_steps in at}
    assert due[-1] == at[-1]
    assert len(at) > len(set(due)) == 3
    assert list(drawn(folder)) == [f"episode_{env_steps:09d}.gif" for env_steps in due]
    for path in folder.pictures.iterdir():
        with Image.open(path) as film:
            assert (film.format, film.size[1] <= 160, film.info["loop"]) == ("GIF", True, 0)
            assert 1 < film.n_frames <= 11  # of a time limit of 10
        assert path.stat().st_size < 150_000


@pytest.mark.parametrize(
    ("films", "at", "drawn_at"),
    [
        (1, [10, 50, 99, 103], [103]),
        (2, [10, 60, 70, 103], [60, 103]),
        (4, [10, 60, 70, 103], [60, 103]),  # too few evaluations
        (0, [10, 103], []),
        (100, [10, 60, 70, 103], [10, 60, 70, 103]),
    ],
)
def test_which_evaluations_are_due(films: int, at: list[int], drawn_at: list[int], tmp_path: Path) -> None:
    pictures = Pictures(folder=RunFolder(tmp_path), films=films, seed=0, total_env_steps=100)
    due = [pictures.due_by(env_steps) for env_steps in [0, *at]]
    assert [now for now, before, after in zip(at, due, due[1:], strict=False) if after > before] == drawn_at


@pytest.mark.parametrize("algo", ["qmix", pytest.param("pac", marks=pytest.mark.slow)])
def test_a_run_comes_to_the_same_bits_with_films_and_without(algo: str, tmp_path: Path) -> None:
    without = trained(tmp_path / "without", f"algo={algo}", *SHORT, "evaluation.films=0")
    filmed = trained(tmp_path / "filmed", f"algo={algo}", *SHORT, "evaluation.films=2")
    assert len(drawn(filmed)) == 2
    assert not without.pictures.exists()
    assert equal(without, filmed)


def test_a_resumed_run_has_the_same_pictures_and_draws_none_twice(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, last = (int(name[-13:-4]) for name in list(drawn(whole))[1:])
    assert any(second < env_steps < last for env_steps in evaluations(whole))  # which is not filmed
    [learned] = {row["gradient_steps"] for row in whole.read_metrics() if row["env_steps"] == second}
    with monkeypatch.context() as patch:
        stopping(patch, signal.SIGTERM, {learned + 1})
        stopped = trained(tmp_path / "stopped", *FILMED)
    early = {path: path.stat().st_mtime_ns for path in stopped.pictures.iterdir()}
    assert len(early) == 2
    with monkeypatch.context() as patch:  # a session that goes on to the end, and saves nothing
        patch.setattr("marlpipe.training.callbacks.checkpointing.Resumable.save_if_due", lambda *_, **__: None)
        patch.setattr("marlpipe.training.callbacks.final_state.FinalState.on_train_end", killed)
        trained(stopped.path, *FILMED)
    assert drawn(stopped) == drawn(whole)
    for path in set(stopped.pictures.iterdir()) - set(early):
        path.write_bytes(b"")
    assert equal(whole, trained(stopped.path, *FILMED))
    assert drawn(stopped) == drawn(whole)
    assert {path: path.stat().st_mtime_ns for path in early} == early


def test_a_matrix_game_has_its_table_instead(tmp_path: Path) -> None:
    folder = trained(tmp_path, "env=payoff", *FILMED, "env_steps=30", "evaluation.every_env_steps=4")
    names = list(drawn(folder))
    assert names[-1] == f"table_{evaluations(folder)[-1]:09d}.png"
    assert len(names) == 3
    with Image.open(folder.pictures / names[-1]) as picture:
        assert picture.format == "PNG"


def test_a_table_shows_payoffs_and_values_in_one_scale() -> None:
    truth = torch.tensor([[8.0, -8.0], [0.0, 0.0]])
    [frame] = table_frames({"eval/true_table": truth, "eval/learned_table": -truth})
    left, right = frame[:, : frame.shape[1] // 2], frame[:, frame.shape[1] // 2 :]
    [high, low] = (np.array(colour, dtype=np.uint8) for colour in ((127, 59, 8), (45, 0, 75)))  # ends of PuOr
    for half in (left, right):
        top_row = half[half.shape[0] // 3]
        found = [int(np.nonzero((top_row == colour).all(-1))[0].mean()) for colour in (high, low)]
        assert (found[0] < found[1]) == (half is left)
    three = torch.zeros(2, 2, 2)
    assert table_frames({"eval/true_table": three, "eval/learned_table": three}) == []


def test_a_world_without_a_scene_has_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("marlpipe.training.pipeline.build_env", lambda config: Unseen(build_env(config)))
    folder = trained(tmp_path, *FILMED)
    assert folder.status.state == "finished"
    assert not folder.pictures.exists()
    assert "picture" not in capsys.readouterr().err


def test_a_world_that_fails_at_being_drawn_is_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CartPole, "scene", lambda *_: 1 / 0)
    folder = trained(tmp_path, *SHORT, "evaluation.films=1")
    assert folder.status.state == "finished"
    assert not folder.pictures.exists()
    said = capsys.readouterr().err
    assert f"no picture at {evaluations(folder)[-1]} env steps: WorldError: " in said
    assert "failed in scene(): ZeroDivisionError" in said


def test_what_the_disk_refuses_leaves_no_broken_file(whole: RunFolder, tmp_path: Path) -> None:
    refused = RunFolder(tmp_path / "refused").create()
    in_the_way = refused.picture("episode", evaluations(whole)[-1], ".gif") / "full"
    in_the_way.mkdir(parents=True)
    with pytest.raises(UserError, match=rf"cannot write {in_the_way.parent}: "):
        trained(refused.path, *FILMED)
    assert refused.status.state == "failed"
    assert [path.name for path in sorted(refused.pictures.iterdir())] == list(drawn(whole))
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    assert equal(whole, trained(refused.path, *FILMED))


def test_a_film_of_a_long_episode_is_no_longer_than_others() -> None:
    config = test_resume.short("env.time_limit=173", "env.termination=endless")
    env = build_env(config)
    frames = episode_frames(env, build_algorithm(config, env).agent, torch.Generator().manual_seed(0))
    assert MOST_SCENES // 2 < len(frames) <= MOST_SCENES + 1


@pytest.mark.parametrize("films", ["-1", "1.5", "all", "null"])
def test_a_number_of_films_that_cannot_be_is_refused_by_name(films: str) -> None:
    register_resolvers()
    with pytest.raises(UserError, match=rf"evaluation\.films={films}|evaluation\.films=None") as told:
        planned_folders([f"evaluation.films={films}"], config_folder(), sweep=False)
    assert "a whole number from 0 to" in str(told.value)
