"""Checkpoints from which a run resumes bit-exactly: at evaluations, by wall-clock, and on signals to stop."""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from marlpipe.errors import Interrupted
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.training.evaluation_schedule import EvaluationSchedule
from marlpipe.training.generators import generator_states, restore_generators
from marlpipe.training.loaders import TrainingLoader
from marlpipe.types import TrainingBatch

LARGEST_SHARE = 0.05  # of wall-clock time spent on checkpoints at evaluations
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # Ctrl-C, the system, a cluster before it preempts


class Resumable(Checkpoint):
    """Saves `last.ckpt` between two gradient steps; an evaluation that is due after the first one comes before it.

    It saves every `minutes`; after an evaluation, unless more than `LARGEST_SHARE` of the time would go into that;
    and when SIGINT, SIGTERM or SIGUSR2 end the run. A second SIGINT ends it at once. As a `Checkpoint`, Lightning calls
    it after all other callbacks, so it saves their states of the same gradient step.

    Args:
        folder: of the run.
        lock: of the folder; a run that lost it stops without writing anything.
        schedule: of the evaluations.
        minutes: of wall-clock time between two checkpoints.
        header: identifies the run and its code, as `checkpoints.checkpoint_header`.

    Raises:
        Interrupted: the run was asked to stop, or lost its lock.
        UserError: the disk refuses.
    """

    def __init__(
        self,
        *,
        folder: RunFolder,
        lock: FolderLock,
        schedule: EvaluationSchedule,
        minutes: float,
        header: dict[str, Any],
    ) -> None:
        self.folder, self.lock, self.schedule, self.minutes, self.header = folder, lock, schedule, minutes, header
        self.saved_at, self.saving_s = time.monotonic(), 0.0
        self.asked: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self.ask) for number in STOPPING}

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: notes the signal, so that the run stops after the current gradient step."""
        del frame
        if self.asked is None:
            print("stopping after this update, with a checkpoint; Ctrl-C to stop at once", file=sys.stderr)
        self.asked = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del pl_module, outputs, batch_idx
        if not self.schedule.due(batch.progress):
            self.save_if_due(trainer, after_s=60 * self.minutes)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        if not trainer.should_stop:
            self.save_if_due(trainer, after_s=min(60 * self.minutes, self.saving_s / LARGEST_SHARE))

    def save_if_due(self, trainer: Trainer, *, after_s: float) -> None:
        """Saves if the last checkpoint is `after_s` seconds old or the run was asked to stop, and then stops it."""
        started = time.monotonic()
        due = self.asked is not None or started - self.saved_at >= after_s
        with os_errors_as_user_errors("read", self.lock.path):
            if self.lock.lost or (due and self.lock.taken_over()):
                raise Interrupted("another process has taken the run over, while this one gave no sign of life")
        if not due:
            return
        self.save(trainer)
        if self.asked is not None:
            raise Interrupted(f"stopped by {self.asked.name}")

    def save(self, trainer: Trainer) -> None:
        """Saves a checkpoint, behind all rows that it counts."""
        started = time.monotonic()
        self.folder.flush_to_disk()
        trainer.save_checkpoint(self.folder.last_checkpoint)
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - started

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises Interrupted if Lightning's loop has ended before env_steps were reached.

        The checkpoint before it is what a resume goes on from: at the end of a loop, Lightning saves that it is over.
        """
        del pl_module
        if not cast(TrainingLoader, trainer.train_dataloader).progress.finished:
            raise Interrupted("Lightning ended its loop before env_steps were reached")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        del pl_module
        checkpoint["header"] = {
            **self.header,
            "env_steps": cast(TrainingLoader, trainer.train_dataloader).progress.env_steps,
            "gradient_steps": trainer.global_step,
            "rows": self.folder.rows(),
        }
        checkpoint["generators"] = generator_states()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        del trainer, pl_module
        restore_generators(checkpoint["generators"])

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        del trainer, pl_module, exception
        self.restore_handlers()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        del trainer, pl_module, stage
        self.restore_handlers()

    def restore_handlers(self) -> None:
        """Restores the earlier signal handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}
