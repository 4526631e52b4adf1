"""Evaluation by env steps, and the end of the run."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from marlpipe.types import StateDict, TrainingBatch


class EvaluationCadence(Callback):
    """Validates after the first rollout's updates, then after those with which another `every_env_steps` are passed,
    and at the end.

    Lightning counts validation intervals in batches, and episodes differ in length; so whether one is due is decided
    after each batch. The trainer must have been made with `check_val_every_n_epoch=None`.
    """

    def __init__(self, *, every_env_steps: int) -> None:
        self.every_env_steps, self.next_at = every_env_steps, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del pl_module, outputs, batch_idx
        due = batch.progress.updates_left == 0 and batch.progress.env_steps >= self.next_at
        if due:
            self.next_at = (batch.progress.env_steps // self.every_env_steps + 1) * self.every_env_steps
        trainer.val_check_batch = 1 if due else trainer.num_training_batches
        trainer.should_stop = batch.progress.finished

    def state_dict(self) -> StateDict:
        return {"next_at": self.next_at}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.next_at = state_dict["next_at"]
