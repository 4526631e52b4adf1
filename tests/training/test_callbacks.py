"""Callbacks by themselves: when evaluations follow, the progress lines, the best policy, and the order of all."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import nn

from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.training.callbacks.best_policy import BestPolicy
from marlpipe.training.callbacks.checkpointing import Resumable
from marlpipe.training.callbacks.evaluation_cadence import EvaluationCadence
from marlpipe.training.callbacks.pictures import Pictures
from marlpipe.training.callbacks.progress import EnvStepProgress
from marlpipe.training.callbacks.recorder import Recorder
from marlpipe.training.evaluation_schedule import EvaluationSchedule
from marlpipe.training.pipeline import callbacks
from marlpipe.types import RunProgress, TrainingBatch
from tests.support.composition import compose
from tests.support.synthetic import make_spec, ragged_batch

BATCH = ragged_batch(make_spec(n_agents=2, horizon=3), lengths=[3], terminal=[True])
MODULE = LightningModule()


class Train(Trainer):
    """A trainer whose loader and metrics are set by the test."""

    progress = RunProgress(0, 0, 0.0, 0.0, 0.0, 0, False)
    reached = 0.0

    @property
    def train_dataloader(self) -> Any:
        return SimpleNamespace(progress=self.progress)

    @property
    def callback_metrics(self) -> Any:
        return {"eval/return_mean": torch.tensor(self.reached)}


@pytest.fixture(scope="module")
def trainer() -> Train:
    return Train(logger=False, accelerator="cpu", plugins=[LightningEnvironment()])


def at(env_steps: int, updates_left: int = 0, finished: bool = False) -> RunProgress:
    return RunProgress(env_steps, 1, 0.1, 1.0, 2.0, updates_left, finished)


def gradient_step(trainer: Train, progress: RunProgress, *callbacks: Any) -> None:
    trainer.progress = progress
    for callback in callbacks:
        callback.on_train_batch_end(trainer, MODULE, {"metrics": {}}, TrainingBatch(BATCH, progress), 0)


def test_evaluations_follow_the_last_update_of_the_rollout_that_passes_the_next_multiple(trainer: Train) -> None:
    schedule = EvaluationSchedule(every_env_steps=100)
    cadence = EvaluationCadence(schedule)
    evaluated = []
    for env_steps in (10, 60, 99, 100, 130, 199, 350, 399, 400):
        for left in (1, 0):
            gradient_step(trainer, at(env_steps, left), cadence)
            assert not trainer.should_stop
            if trainer.val_check_batch == 1:
                assert left == 0
                evaluated.append(env_steps)
                cadence.on_validation_start(trainer, MODULE)
    assert evaluated == [10, 100, 350, 400]


def test_the_last_gradient_step_is_evaluated_and_ends_the_run(trainer: Train) -> None:
    cadence = EvaluationCadence(EvaluationSchedule(every_env_steps=1000))
    gradient_step(trainer, at(10), cadence)
    cadence.on_validation_start(trainer, MODULE)
    gradient_step(trainer, at(20, 1), cadence)
    assert (trainer.val_check_batch == 1, trainer.should_stop) == (False, False)
    gradient_step(trainer, at(20, 0, finished=True), cadence)
    assert (trainer.val_check_batch, trainer.should_stop) == (1, True)
    trainer.should_stop = False


def test_a_resumed_schedule_continues(trainer: Train) -> None:
    cadence = EvaluationCadence(EvaluationSchedule(every_env_steps=100))
    trainer.progress = at(150)
    cadence.on_validation_start(trainer, MODULE)
    resumed = EvaluationSchedule(every_env_steps=100)
    EvaluationCadence(resumed).load_state_dict(cadence.state_dict())
    assert [resumed.due(at(env_steps)) for env_steps in (0, 199, 200)] == [False, False, True]


@pytest.mark.parametrize("checkpoints_first", [True, False])
def test_the_order_of_cadence_and_checkpoints_does_not_matter(
    checkpoints_first: bool, trainer: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ask the schedule, which changes only when an evaluation starts."""
    folder, schedule, saved = RunFolder(tmp_path).create(), EvaluationSchedule(every_env_steps=100), list[int]()
    monkeypatch.setattr(Resumable, "save_if_due", lambda _, now, **__: saved.append(now.progress.env_steps))
    with FolderLock(folder.lock) as lock:
        checkpoints = Resumable(folder=folder, lock=lock, schedule=schedule, minutes=0.0, header={})
        cadence = EvaluationCadence(schedule)
        for env_steps in (10, 60, 100):
            both = (checkpoints, cadence) if checkpoints_first else (cadence, checkpoints)
            gradient_step(trainer, at(env_steps), *both)
            if trainer.val_check_batch == 1:
                cadence.on_validation_start(trainer, MODULE)
    assert saved == [60]  # the others come after their evaluation


def test_the_best_policy_is_that_of_the_highest_evaluation(trainer: Train, tmp_path: Path) -> None:
    folder, agent = RunFolder(tmp_path).create(), nn.Linear(1, 1)
    learner: Any = LightningModule()
    learner.algorithm = SimpleNamespace(agent=agent)
    best = BestPolicy(folder=folder)
    kept = []
    for number, reached in enumerate((-5.0, 3.0, 3.0, float("nan"), 1.0, 4.0)):
        trainer.reached = reached
        with torch.no_grad():
            agent.weight.fill_(number)
        best.on_validation_end(trainer, learner)
        stored = torch.load(folder.best_policy, weights_only=True)
        kept.append((stored["return_mean"], float(stored["agent"]["weight"])))
    assert kept == [(-5.0, 0.0), (3.0, 1.0), (3.0, 1.0), (3.0, 1.0), (3.0, 1.0), (4.0, 5.0)]
    resumed = BestPolicy(folder=folder)
    resumed.load_state_dict(best.state_dict())
    trainer.reached = 3.5
    resumed.on_validation_end(trainer, learner)
    assert torch.load(folder.best_policy, weights_only=True)["return_mean"] == 4.0


def test_without_a_terminal_there_is_one_line_per_evaluation(
    trainer: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = EnvStepProgress(label="qmix seed 0", total_env_steps=2000)
    progress.on_train_start(trainer, MODULE)
    for env_steps, reached in ((1000, 7.25), (2000, 1234.5)):
        gradient_step(trainer, at(env_steps - 1), progress)
        gradient_step(trainer, at(env_steps), progress)
        trainer.reached = reached
        progress.on_validation_end(trainer, MODULE)
    progress.on_train_end(trainer, MODULE)
    assert capsys.readouterr().err.splitlines() == [
        "qmix seed 0: 1,000/2,000 env steps, return 7.2",
        "qmix seed 0: 2,000/2,000 env steps, return 1,234.5",
    ]


def test_pictures_come_before_rows_and_checkpoints_last(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).create()
    with FolderLock(folder.lock) as lock:
        kinds = [type(callback) for callback in callbacks(compose(), folder, lock, [], "qmix", {})]
    assert kinds.index(Pictures) < kinds.index(Recorder)
    assert kinds[-1] is Resumable


def test_the_keys_of_states_in_a_checkpoint_are_names_not_classes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).create()
    with FolderLock(folder.lock) as lock:
        made = callbacks(compose(), folder, lock, [], "qmix", {})
    stateful = [callback for callback in made if callback.state_dict()]
    assert [callback.state_key for callback in stateful] == [
        "evaluation_cadence",
        "first_values",
        "pictures",
        "recorder",
        "best_policy",
    ]
