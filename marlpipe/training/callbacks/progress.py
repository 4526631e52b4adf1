"""A progress bar in env steps on a terminal; one line per evaluation elsewhere."""

import sys
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from marlpipe.types import TrainingBatch


class EnvStepProgress(Callback):
    """Shows env steps, env steps/s, the last evaluation's return and the time left of one run."""

    def __init__(self, *, label: str, total_env_steps: int) -> None:
        self.label, self.total_env_steps, self.env_steps = label, total_env_steps, 0
        self.console = Console(file=sys.stderr)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} env steps"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("return {task.fields[eval_return]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            refresh_per_second=2,
        )
        self.task = self.bar.add_task(label, total=total_env_steps, rate="", eval_return="–")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del trainer, pl_module, outputs, batch_idx
        self.env_steps = batch.progress.env_steps
        speed = self.bar.tasks[self.task].speed
        self.bar.update(self.task, completed=self.env_steps, rate=f"{speed:,.0f}/s" if speed else "")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        reached = f"{float(trainer.callback_metrics['eval/return_mean']):,.1f}"
        self.bar.update(self.task, eval_return=reached)
        if not self.console.is_terminal:
            done = f"{self.env_steps:,}/{self.total_env_steps:,} env steps"
            self.console.print(f"{self.label}: {done}, return {reached}", highlight=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        del trainer, pl_module, exception
        self.bar.stop()
