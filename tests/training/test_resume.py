"""A run that is stopped and started again equals one that never was, to the last bit."""

import copy
import json
import shutil
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from marlpipe.commands.drill.verdict import departures
from marlpipe.runs.folder import RunFolder
from marlpipe.training.learner import Learner
from marlpipe.training.session import train
from tests.support.cases import ALGOS
from tests.support.composition import compose

SHORT = [
    "env_steps=260",
    "env.time_limit=10",
    "env.n_agents=3",
    "profile.batch_episodes=4",
    "profile.replay_episodes=10",
    "profile.parallel_episodes=2",
    "profile.updates_per_rollout=3",
    "profile.target_update_episodes=5",
    "evaluation.every_env_steps=60",
    "evaluation.episodes=2",
    "evaluation.films=0",
    "record_every_env_steps=40",
    "agent.hidden=8",
    "logger=none",
    "threads=1",
    "trainer=cpu",
]

pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]


@cache
def short(*overrides: str) -> DictConfig:
    """`SHORT` with some overrides; what it sets of cart-pole is left out where they choose another world."""
    other_world = any(override.startswith("env=") for override in overrides)
    base = [override for override in SHORT if not (other_world and override.startswith("env."))]
    return compose(*base, *overrides)


def task(folder: Path, *overrides: str) -> DictConfig:
    """The config as Hydra hands it to a run in `folder`."""
    config = copy.deepcopy(short(*overrides))
    with open_dict(config):
        config.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(config)
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


def trained(folder: Path, *overrides: str) -> RunFolder:
    """One session of a run, to its end or to where it is stopped."""
    with suppress(KeyboardInterrupt):
        train(task(folder, *overrides))
    return RunFolder(folder)


def equal(one: RunFolder, other: RunFolder) -> bool:
    """To the last bit: parameters, optimisers, replay, generators, schedules, rows, tables, best policy."""
    assert one.fingerprint.exists()
    assert departures(one, other) == []
    return True


def stopping(monkeypatch: pytest.MonkeyPatch, number: signal.Signals, at: set[int] | None = None) -> list[int]:
    """Sends a signal in the middle of training steps, of all or some. Their numbers, from 1, as they are made."""
    step, steps = Learner.training_step, list[int]()

    def stopped(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        steps.append(self.trainer.train_dataloader.gradient_steps)
        if at is None or steps[-1] in at:
            signal.raise_signal(number)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", stopped)
    return steps


@pytest.mark.parametrize(
    ("algo", "at"),
    [
        ("qmix", None),
        *(pytest.param(*algo.values, {5}, marks=algo.marks) for algo in ALGOS if algo.values != ("qmix",)),
        *(pytest.param(*algo.values, None, marks=pytest.mark.slow) for algo in ALGOS if algo.values != ("qmix",)),
    ],
)
def test_stopped_at_some_or_every_training_step_equals_uninterrupted(
    algo: str, at: set[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = (f"algo={algo}", "env_steps=110", "env.n_agents=2")
    whole, stopped = trained(tmp_path / "whole", *tiny), RunFolder(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        steps = stopping(patch, signal.SIGUSR2, at)
        while stopped.status.state != "finished":
            trained(stopped.path, *tiny)
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 10
    assert equal(whole, stopped)


# each callback writes: films, learned rewards beside the histograms of evaluations, the best policy
EVERY_CALLBACK_WRITES = (
    *("env=navigation_pair", "env.time_limit=8", "algo=lomaq_rd", "reward=learned", "reward.model.features=[6]"),
    *("reward.batch_episodes=2", "partition=singletons", "env_steps=90", "evaluation.every_env_steps=16"),
    *("record_every_env_steps=16", "evaluation.films=3"),
)


def test_where_every_callback_writes_no_row_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, stopped = trained(tmp_path / "whole", *EVERY_CALLBACK_WRITES), RunFolder(tmp_path / "stopped")
    written = {name for row in whole.read_tables() for name in row}
    assert {"decomposition/rewards", "eval/gradient_shares"} <= written
    assert len(list(whole.pictures.iterdir())) == 3
    with monkeypatch.context() as patch:
        steps = stopping(patch, signal.SIGUSR2)
        while stopped.status.state != "finished":
            trained(stopped.path, *EVERY_CALLBACK_WRITES)
    assert len(steps) > 10
    assert equal(whole, stopped)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["qmix", "pac"])
def test_stopped_once_and_finished_later(algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", f"algo={algo}")
    last = 3 * round(whole.read_metrics()[-1]["episodes"] / 2) - 3
    for step in (1, 2, 6, last // 2, last - 1):
        with monkeypatch.context() as patch:
            stopping(patch, signal.SIGTERM, {step})
            stopped = trained(tmp_path / f"stopped at {step}", f"algo={algo}")
        assert (stopped.status.state, stopped.status.reason) == ("interrupted", "stopped by SIGTERM")
        assert equal(whole, trained(stopped.path, f"algo={algo}"))


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing stopped."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("step", [14, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 3, 4, 9, 19))])
def test_killed_between_checkpoints_no_row_comes_twice(
    step: int, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded after the last checkpoint, also at the very same env step, is recorded anew."""
    with monkeypatch.context() as patch:
        stopping(patch, signal.SIGINT, {step})
        stopped = trained(tmp_path / "killed")
    shutil.copytree(stopped.path, kept := tmp_path / "kept")
    with monkeypatch.context() as patch:  # a session that records on, and saves nothing
        patch.setattr("marlpipe.training.callbacks.checkpointing.Resumable.save_if_due", lambda *_, **__: None)
        patch.setattr("marlpipe.training.callbacks.final_state.FinalState.on_train_end", killed)
        trained(stopped.path)
    assert len(stopped.read_metrics()) == len(whole.read_metrics()) > len(RunFolder(kept).read_metrics())
    assert equal(whole, trained(stopped.path))


def test_a_second_ctrl_c_ends_at_once_and_the_run_goes_on_from_its_last_checkpoint(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = signal.getsignal(signal.SIGINT)
    stopped = RunFolder(tmp_path / "stopped")
    step = Learner.training_step

    def interrupted(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        if self.trainer.global_step == 9:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(task(stopped.path, "checkpoint_minutes=0.0"))
    assert (stopped.status.state, stopped.status.reason) == ("interrupted", "stopped at once")
    assert signal.getsignal(signal.SIGINT) == listening
    assert equal(whole, trained(stopped.path))


def test_a_finished_run_is_left_alone_and_keeps_no_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(tmp_path)
    assert sorted(file.name for file in folder.checkpoints.iterdir()) == ["best.pt", "final.pt"]
    written = folder.metrics.stat().st_mtime_ns
    train(task(tmp_path))
    assert folder.metrics.stat().st_mtime_ns == written
    assert "finished already" in capsys.readouterr().err


def test_the_same_command_twice_gives_the_same_bits_and_another_seed_others(whole: RunFolder, tmp_path: Path) -> None:
    again, other = trained(tmp_path / "again"), trained(tmp_path / "other", "seed=1")
    assert equal(whole, again)
    assert len(departures(whole, other)) > 5


@pytest.mark.parametrize("change", ["the best policy", "rows of metrics instead of", "replay", "optimizers"])
def test_what_differs_is_found(change: str, whole: RunFolder, tmp_path: Path) -> None:
    other = RunFolder(shutil.copytree(whole.path, tmp_path / "other"))
    if change == "the best policy":
        best = torch.load(other.best_policy)
        next(iter(best["agent"].values())).view(-1)[0] += 1e-6
        torch.save(best, other.best_policy)
    elif change.startswith("rows"):
        lines = other.metrics.read_text().splitlines(keepends=True)
        other.metrics.write_text("".join([*lines, lines[-1]]))
    else:
        told = json.loads(other.fingerprint.read_text())
        other.fingerprint.write_text(json.dumps({**told, change: "0" * 16}))
    assert any(change in part for part in departures(whole, other))
