"""A run that is stopped and started again equals one that never was: parameters, rows of metrics, best policy."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from marlpipe.configuration import config_folder
from marlpipe.grid import composed, composing
from marlpipe.learner import Learner
from marlpipe.naming import register_resolvers
from marlpipe.records.folder import RunFolder
from marlpipe.train import train

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
    "record_every_env_steps=40",
    "agent.hidden=8",
    "logger=none",
    "threads=1",
    "trainer=cpu",
]
OF_THE_CLOCK = {"wall_s", "time/env_steps_per_s"}


def task(folder: Path, *overrides: str) -> DictConfig:
    """The config as Hydra hands it to a run in `folder`."""
    register_resolvers()
    with composing(config_folder()):
        config = composed([*SHORT, *overrides], config_folder())
    with open_dict(config):
        config.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(config)
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in OF_THE_CLOCK}
        for row in RunFolder(folder).read_metrics()
    ]


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    """The learner of each session, in order."""
    seen: list[Learner] = []
    configure = Learner.configure_optimizers

    def noticed(self: Learner) -> torch.optim.Optimizer:
        seen.append(self)
        return configure(self)

    monkeypatch.setattr(Learner, "configure_optimizers", noticed)
    return seen


def stop_at(gradient_step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a gradient step."""
    step = Learner.training_step

    def interrupted(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        if self.trainer.global_step == gradient_step:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", interrupted)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.parametrize("algo", ["qmix", "lomaq", "qpro"])
def test_stopped_and_resumed_equals_uninterrupted(
    algo: str, tmp_path: Path, learners: list[Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(task(tmp_path / "whole", f"algo={algo}"))
    whole, expected = learners[-1], rows(tmp_path / "whole")
    last = whole.trainer.global_step
    assert last > 20
    for gradient_step in (0, 1, 2, 5, 9, last // 2, last - 1):
        folder = tmp_path / f"stopped at {gradient_step}"
        with monkeypatch.context() as patch:
            stop_at(gradient_step, patch)
            if gradient_step == last - 1:  # the last one: the run is over, there is nothing to stop
                train(task(folder, f"algo={algo}"))
            else:
                with pytest.raises(KeyboardInterrupt):
                    train(task(folder, f"algo={algo}"))
                assert RunFolder(folder).status.state == "interrupted"
                assert RunFolder(folder).last_checkpoint.exists()
        train(task(folder, f"algo={algo}"))
        assert RunFolder(folder).status.state == "finished"
        assert rows(folder) == expected, f"stopped at {gradient_step}"
        for name, value in whole.algorithm.state_dict().items():
            assert torch.equal(learners[-1].algorithm.state_dict()[name], value), f"{name}, stopped at {gradient_step}"
        ours, theirs = (torch.load(RunFolder(path).best_policy) for path in (folder, tmp_path / "whole"))
        assert ours["return_mean"] == theirs["return_mean"]


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_second_ctrl_c_ends_at_once_and_the_run_goes_on_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = signal.getsignal(signal.SIGINT)
    train(task(tmp_path / "whole"))
    folder = RunFolder(tmp_path / "stopped")
    step = Learner.training_step

    def interrupted(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        if self.trainer.global_step == 9:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(task(folder.path, "checkpoint_minutes=0.0"))
    assert (folder.status.state, folder.status.reason) == ("interrupted", "stopped at once")
    assert signal.getsignal(signal.SIGINT) == listening
    train(task(folder.path))
    assert rows(folder.path) == rows(tmp_path / "whole")


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(task(tmp_path))
    written = (tmp_path / "metrics.jsonl").stat().st_mtime_ns
    train(task(tmp_path))
    assert (tmp_path / "metrics.jsonl").stat().st_mtime_ns == written
    assert "finished already" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_the_same_command_twice_gives_the_same_bits(tmp_path: Path) -> None:
    train(task(tmp_path / "a"))
    train(task(tmp_path / "b"))
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    train(task(tmp_path / "c", "seed=1"))
    assert rows(tmp_path / "c") != rows(tmp_path / "a")
