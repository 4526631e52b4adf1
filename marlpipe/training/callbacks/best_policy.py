"""Keeps the policy of the best evaluation: the agent network alone, which decentralised execution needs."""

import math
from typing import cast

from lightning import Callback, LightningModule, Trainer

from marlpipe.runs.folder import RunFolder
from marlpipe.training.checkpoints import save
from marlpipe.training.learner import Learner
from marlpipe.types import StateDict


class BestPolicy(Callback):
    """Writes `best.pt` whenever an evaluation's mean return exceeds those of all earlier evaluations."""

    state_key = "best_policy"

    def __init__(self, *, folder: RunFolder) -> None:
        self.folder, self.best_return = folder, -math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        reached = float(trainer.callback_metrics["eval/return_mean"])
        if reached > self.best_return:
            self.best_return = reached
            policy = cast(Learner, pl_module).algorithm.agent.state_dict()
            save({"agent": policy, "return_mean": reached}, self.folder.best_policy)

    def state_dict(self) -> StateDict:
        return {"best_return": self.best_return}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.best_return = state_dict["best_return"]
