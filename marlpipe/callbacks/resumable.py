"""Checkpoints from which a run goes on exactly: by wall-clock, and when the run is asked to stop."""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from marlpipe.errors import Interrupted
from marlpipe.records.folder import RunFolder


class Resumable(Checkpoint):
    """Saves `last.ckpt` between two gradient steps, with the evaluation that belongs to the first one behind it.

    SIGINT and SIGTERM end the run there; a second SIGINT ends it at once. `Checkpoint` makes Lightning call this after
    all other callbacks, whose state is saved too.
    """

    def __init__(self, *, folder: RunFolder, minutes: float) -> None:
        self.folder, self.minutes = folder, minutes
        self.saved_at = time.monotonic()
        self.asked: signal.Signals | None = None
        self.handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self.ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: remember, and let the gradient step finish."""
        del frame
        self.asked = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("stopping after this update, with a checkpoint; once more to stop at once", file=sys.stderr)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        del pl_module, outputs, batch, batch_idx
        evaluation_follows = trainer.should_stop or trainer.val_check_batch == 1
        if not evaluation_follows:
            self.save_if_due(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        if not trainer.should_stop:
            self.save_if_due(trainer)

    def save_if_due(self, trainer: Trainer) -> None:
        """Saves, and raises `Interrupted` if the run was asked to stop."""
        if self.asked is None and time.monotonic() - self.saved_at < 60 * self.minutes:
            return
        trainer.save_checkpoint(self.folder.last_checkpoint)
        self.saved_at = time.monotonic()
        if self.asked is not None:
            raise Interrupted(f"stopped by {self.asked.name}")

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
