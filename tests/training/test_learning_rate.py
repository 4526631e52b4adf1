"""The learning rate over a run: its schedule, what the optimizers get of it, and that a resumed run goes on with it."""

import signal
from pathlib import Path
from typing import Any

import pytest

from marlpipe.config.naming import arm_hash, defining_config
from marlpipe.runs.folder import RunFolder
from marlpipe.training.learner import Learner
from marlpipe.training.learning_rate import LinearDecay
from marlpipe.types import Update
from tests.support.composition import compose
from tests.training.test_resume import equal, stopping, trained

pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]


def test_linear_decay() -> None:
    decay = LinearDecay(end=0.2, env_steps=1000)
    assert [decay(at) for at in (0, 500, 1000, 1200)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert {LinearDecay(end=1.0, env_steps=7)(at) for at in range(10)} == {1.0}


def test_optimizers_get_it_and_a_stopped_run_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decaying = ("algo=dop", "env_steps=110", "env.n_agents=2", "profile.learning_rate_end=0.1")  # two optimizers
    seen: list[tuple[int, str, float]] = []
    step = Learner.step

    def watched(self: Learner, update: Update) -> Any:
        rate = self.optimizer_of(update.of).param_groups[0]["lr"]
        seen.append((self.trainer.train_dataloader.progress.env_steps, update.of, rate))
        return step(self, update)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", watched)
        whole, stopped = trained(tmp_path / "whole", *decaying), RunFolder(tmp_path / "stopped")
    first = {name: rate / (1 - 0.9 * at / 110) for at, name, rate in reversed(seen) if at <= 110}
    assert set(first) == {"critic", "actor"}
    for at, name, rate in seen:
        assert rate == pytest.approx(first[name] * (1 - 0.9 * min(at / 110, 1)))
    assert len({at for at, _, _ in seen}) > 4
    with monkeypatch.context() as patch:
        stopping(patch, signal.SIGUSR2)
        while stopped.status.state != "finished":
            trained(stopped.path, *decaying)
    assert equal(whole, stopped)


def test_a_constant_rate_renames_no_run() -> None:
    """Configs from before the key have the same name as those that have its neutral value."""
    config = compose("algo=qmix")
    assert config.profile.learning_rate_end == 1.0
    assert "learning_rate_end" not in defining_config(config)["profile"]
    assert arm_hash(compose("algo=qmix", "profile.learning_rate_end=0.5")) != arm_hash(config)
