"""Warns of a start whose values are far from all that the world has paid."""

import sys
from typing import Any

from lightning import Callback, LightningModule, Trainer

from marlpipe.types import StateDict, TrainingBatch

FAR = 5.0  # times the largest return of the first batch


class FirstValues(Callback):
    """Prints a line if the first values exceed every return of the first batch by far: learning has to undo them.

    label: of the run, for the line.
    """

    state_key = "first_values"

    def __init__(self, *, label: str) -> None:
        self.label, self.looked = label, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del trainer, pl_module, batch_idx
        if self.looked or "q_tot" not in outputs["metrics"]:
            return
        self.looked = True
        value = float(outputs["metrics"]["q_tot"])
        largest = float(batch.episodes.team_rewards.sum(1).abs().max())
        if abs(value) > FAR * largest:
            print(
                f"{self.label}: the first values are {value:.3g} on average, and no return so far is larger than "
                f"{largest:.3g}; learning begins by undoing that\n"
                "  next: networks that start smaller, as monotonicity.initialise.path="
                "marlpipe.models.monotonicity.method.initialise_fan_in where the mixer's weights are parameters",
                file=sys.stderr,
            )

    def state_dict(self) -> StateDict:
        return {"looked": self.looked}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.looked = state_dict["looked"]
