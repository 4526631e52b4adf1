"""Checkpoints from which a run goes on exactly: at evaluations, by wall-clock, and when the run is asked to stop."""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from marlpipe.errors import Interrupted
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.training.generators import generator_states, restore_generators

LARGEST_SHARE = 0.05  # of the time, for checkpoints at evaluations
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # of a person, of a system, of a cluster before it preempts


class Resumable(Checkpoint):
    """Saves `last.ckpt` between two gradient steps, with the evaluation that belongs to the first one behind it.

    It does so every `minutes`; after an evaluation, unless more than `LARGEST_SHARE` of the time would go into that;
    and when SIGINT, SIGTERM or SIGUSR2 end the run. A second SIGINT ends it at once. `Checkpoint` makes Lightning call
    this after all other callbacks, whose state is saved too.

    lock: that of the folder; a run that lost it stops without writing anything. origin: what the checkpoint says of
    the run and the code that made it.
    """

    def __init__(self, *, folder: RunFolder, lock: FolderLock, minutes: float, origin: dict[str, Any]) -> None:
        self.folder, self.lock, self.minutes, self.origin = folder, lock, minutes, origin
        self.saved_at, self.saving_s = time.monotonic(), 0.0
        self.asked: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self.ask) for number in STOPPING}

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: remember, and let the gradient step finish."""
        del frame
        if self.asked is None:
            print("stopping after this update, with a checkpoint; Ctrl-C to stop at once", file=sys.stderr)
        self.asked = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        del pl_module, outputs, batch, batch_idx
        evaluation_follows = trainer.should_stop or trainer.val_check_batch == 1
        if not evaluation_follows:
            self.save_if_due(trainer, after_s=60 * self.minutes)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        if not trainer.should_stop:
            self.save_if_due(trainer, after_s=min(60 * self.minutes, self.saving_s / LARGEST_SHARE))

    def save_if_due(self, trainer: Trainer, *, after_s: float) -> None:
        """Saves if the last checkpoint is so old, and raises `Interrupted` if the run was asked to stop."""
        started = time.monotonic()
        due = self.asked is not None or started - self.saved_at >= after_s
        with os_errors_as_user_errors("read", self.lock.path):
            if self.lock.lost or (due and self.lock.taken_over()):
                raise Interrupted("another process has taken the run over, while this one gave no sign of life")
        if not due:
            return
        self.folder.flush_to_disk()
        trainer.save_checkpoint(self.folder.last_checkpoint)
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - started
        if self.asked is not None:
            raise Interrupted(f"stopped by {self.asked.name}")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        del trainer, pl_module
        checkpoint["origin"], checkpoint["generators"] = self.origin, generator_states()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        del trainer, pl_module
        restore_generators(checkpoint["generators"])

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        del trainer, pl_module, exception
        self.listen_no_more()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        del trainer, pl_module, stage
        self.listen_no_more()

    def listen_no_more(self) -> None:
        """Whoever listened to the signals before does so again."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}
