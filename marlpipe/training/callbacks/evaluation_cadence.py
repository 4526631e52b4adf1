"""Starts the evaluations that the schedule asks for, and ends the run."""

from typing import Any, cast

from lightning import Callback, LightningModule, Trainer

from marlpipe.training.evaluation_schedule import EvaluationSchedule
from marlpipe.training.loaders import TrainingLoader
from marlpipe.types import StateDict, TrainingBatch


class EvaluationCadence(Callback):
    """Makes Lightning validate whenever an evaluation is due, and stop after the last gradient step.

    Lightning counts validation intervals in batches, but episodes differ in length; so the interval is set after each
    batch: 1 where an evaluation is due. The trainer needs `check_val_every_n_epoch=None`.
    """

    state_key = "evaluation_cadence"

    def __init__(self, schedule: EvaluationSchedule) -> None:
        self.schedule = schedule

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del pl_module, outputs, batch_idx
        trainer.val_check_batch = 1 if self.schedule.due(batch.progress) else trainer.num_training_batches
        trainer.should_stop = batch.progress.finished

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        self.schedule.record(cast(TrainingLoader, trainer.train_dataloader).progress)

    def state_dict(self) -> StateDict:
        return {"next_at": self.schedule.next_at}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.schedule.next_at = state_dict["next_at"]
