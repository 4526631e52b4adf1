"""Warns of a start whose values are far from all that the world has paid."""

import sys
from typing import Any

from jaxtyping import Float
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from marlpipe.types import Metrics, StateDict, TrainingBatch

FAR = 5.0  # times the largest return of the first batch


class FirstValues(Callback):
    """Prints two lines if the first values exceed every return of the first batch by far: learning has to undo them.

    label: of the run, for the lines.
    """

    state_key = "first_values"

    def __init__(self, *, label: str) -> None:
        self.label, self.looked = label, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del trainer, pl_module, batch_idx
        self.look(outputs["metrics"], batch.episodes.team_rewards)

    def look(self, metrics: Metrics, team_rewards: Float[Tensor, "B T"]) -> None:
        """Compares the mean value of a gradient step with the returns of its batch, the first time."""
        if self.looked or "q_tot" not in metrics:
            return
        self.looked = True
        value, largest = float(metrics["q_tot"]), float(team_rewards.sum(1).abs().max())
        if abs(value) > FAR * largest:
            print(
                f"{self.label}: the first values are {value:.3g} on average, and no return so far is larger than "
                f"{largest:.3g}; learning begins by undoing that\n"
                "  next: mixing weights that start smaller, as monotonicity.initialise.path="
                "marlpipe.models.monotonicity.method.initialise_fan_in",
                file=sys.stderr,
            )

    def state_dict(self) -> StateDict:
        return {"looked": self.looked}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.looked = state_dict["looked"]
