"""Appends rows of metrics to the run folder, sends them to all sinks, and keeps the status file up to date."""

import math
import time
from collections.abc import Sequence
from typing import Any

from lightning import Callback, LightningModule, Trainer

from marlpipe.runs.folder import RunFolder
from marlpipe.runs.sinks import Sink
from marlpipe.types import Metrics, RunProgress, StateDict, TrainingBatch

SECONDS_BETWEEN_STATUS = 1.0


class Recorder(Callback):
    """Rows of means over the gradient steps since the last row, every `every_env_steps`, and one row per evaluation.

    Metrics stay on their device until a row is written. `total_env_steps` gives the status file's time left.
    """

    state_key = "recorder"

    def __init__(self, *, folder: RunFolder, sinks: Sequence[Sink], every_env_steps: int, total_env_steps: int) -> None:
        self.folder, self.sinks = folder, sinks
        self.every_env_steps, self.total_env_steps = every_env_steps, total_env_steps
        self.next_at = 0
        self.sums: Metrics = {}
        self.counts: dict[str, int] = {}  # skipped updates report no metrics, so each metric has its own count
        self.earlier_s, self.earlier_env_steps = 0.0, 0  # of all earlier sessions
        self.started, self.status_written_at = time.monotonic(), -math.inf
        self.eval_return: float | None = None
        self.progress: RunProgress | None = None

    @property
    def wall_s(self) -> float:
        """Seconds of training, over all sessions of the run."""
        return self.earlier_s + time.monotonic() - self.started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replays earlier rows to all sinks: a killed session may not have delivered its last ones.

        Sinks deduplicate by row number.
        """
        del trainer, pl_module
        self.started = time.monotonic()
        for number, row in enumerate(self.folder.read_metrics()):
            for sink in self.sinks:
                sink.log(row, number)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del pl_module, batch_idx
        self.progress = progress = batch.progress
        for name, value in outputs["metrics"].items():
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        if progress.env_steps >= self.next_at:
            self.next_at = (progress.env_steps // self.every_env_steps + 1) * self.every_env_steps
            means = {f"train/{name}": total / self.counts[name] for name, total in self.sums.items()}
            self.sums, self.counts = {}, {}
            rollout = {
                "rollout/return": progress.train_return,
                "rollout/length": progress.train_length,
                "rollout/epsilon": progress.epsilon,
            }
            self.write(trainer, {**scalars(means), **rollout})
            self.write_tables(tables(means))
        if time.monotonic() - self.status_written_at > SECONDS_BETWEEN_STATUS:
            self.write_status()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        del pl_module, batch, batch_idx, dataloader_idx
        evaluation = scalars(outputs)
        self.eval_return = evaluation["eval/return_mean"]
        self.write(trainer, evaluation)
        self.write_tables(tables(outputs))
        self.write_status()

    def write(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Appends one row of metrics and sends it, with its number, to all sinks."""
        assert self.progress is not None
        row = {
            "env_steps": self.progress.env_steps,
            "gradient_steps": trainer.global_step,
            "episodes": self.progress.episodes,
            "wall_s": round(self.wall_s, 3),
            "time/env_steps_per_s": self.env_steps_per_s(),
            **metrics,
        }
        number = self.folder.append_metrics(row)
        for sink in self.sinks:
            sink.log(row, number)

    def write_tables(self, values: dict[str, Any]) -> None:
        """Appends one row of vectors and tables; none without values."""
        assert self.progress is not None
        if values:
            self.folder.append_tables({"env_steps": self.progress.env_steps, **values})

    def env_steps_per_s(self) -> float:
        """The speed of this session: acting, learning and evaluating together."""
        assert self.progress is not None
        return (self.progress.env_steps - self.earlier_env_steps) / max(time.monotonic() - self.started, 1e-9)

    def write_status(self) -> None:
        """Updates progress, speed and time left in the status file."""
        assert self.progress is not None
        rate = self.env_steps_per_s()
        left = max(0, self.total_env_steps - self.progress.env_steps)
        self.folder.update_status(
            env_steps=self.progress.env_steps,
            env_steps_per_s=rate,
            eval_return=self.eval_return,
            eta_s=left / rate if rate > 0 else None,
            wall_s=self.wall_s,
        )
        self.status_written_at = time.monotonic()

    def state_dict(self) -> StateDict:
        return {
            "env_steps": self.progress.env_steps if self.progress else 0,
            "next_at": self.next_at,
            "sums": dict(self.sums),
            "counts": dict(self.counts),
            "wall_s": self.wall_s,
            "eval_return": self.eval_return,
        }

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.next_at, self.earlier_s = state_dict["next_at"], state_dict["wall_s"]
        self.sums, self.counts = state_dict["sums"], state_dict["counts"]
        self.earlier_env_steps = state_dict["env_steps"]
        self.eval_return = state_dict["eval_return"]


def scalars(metrics: Metrics) -> dict[str, float]:
    """Metrics without dimensions, as numbers."""
    return {name: float(value) for name, value in metrics.items() if value.dim() == 0}


def tables(metrics: Metrics) -> dict[str, Any]:
    """Metrics with dimensions, as nested lists."""
    return {name: value.tolist() for name, value in metrics.items() if value.dim() > 0}
