"""Scales mixers whose first values exceed every return, and warns of other methods whose values do."""

import sys
from typing import Any, cast

import torch
from lightning import Callback, LightningModule, Trainer

from marlpipe.algos.algorithm import Algorithm
from marlpipe.models.mixers.mixer import ScalesStart
from marlpipe.models.utilities import greedy_actions, masked_mean
from marlpipe.training.learner import Learner
from marlpipe.training.loaders import TrainingLoader
from marlpipe.types import EpisodeBatch, StateDict

FAR = 5.0  # times the largest return of the first batch


class FirstValues(Callback):
    """Looks at the values of the first batch, before its gradient step; learning has to undo what exceeds all returns.

    Mixers that scale their start are brought within the largest return. Two lines warn of starts that exceed it by far.
    label: of the run, for the lines.
    """

    state_key = "first_values"

    def __init__(self, *, label: str) -> None:
        self.label, self.looked = label, False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        del batch_idx
        if not self.looked:
            self.looked = True
            replay = cast(TrainingLoader, trainer.train_dataloader).replay
            pieces = replay.sequence_steps is not None  # whose rewards are not returns
            episodes = replay.collected() if pieces else batch.episodes
            self.look(cast(Learner, pl_module).algorithm, episodes)

    def look(self, algorithm: Algorithm, episodes: EpisodeBatch) -> None:
        """Compares values with returns, whose largest is taken as 1 where nothing has been paid."""
        largest = float(episodes.team_rewards.sum(1).abs().max()) or 1.0
        value = first_value(algorithm, episodes)
        advice = "rewards of a larger scale"
        if isinstance(algorithm.mixer, ScalesStart) and value > largest:
            advice = "mixer.scaled_start=true, with monotonicity=hard or abs"
            algorithm.mixer.scale_start(largest / value)
            algorithm.sync_targets()
            value = first_value(algorithm, episodes)
        if value > FAR * largest:
            print(
                f"{self.label}: the first values are {value:.3g} on average, and no return so far is larger than "
                f"{largest:.3g}; learning begins by undoing that\n  next: {advice}",
                file=sys.stderr,
            )

    def state_dict(self) -> StateDict:
        return {"looked": self.looked}

    def load_state_dict(self, state_dict: StateDict) -> None:
        self.looked = state_dict["looked"]


@torch.no_grad()
def first_value(algorithm: Algorithm, episodes: EpisodeBatch) -> float:
    """The mean over time steps of |Q_tot(û)|, û the greedy joint action."""
    view = algorithm.joint_value_view(episodes)
    greedy = greedy_actions(view.utilities, episodes.avail_actions[:, :-1])
    return float(masked_mean(view.joint_value(greedy).abs(), episodes.valid))
