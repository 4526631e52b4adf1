"""Interface of all algorithms."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.algos.parts import Accepts, Parts
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.algos.target_networks import WithTargets
from marlpipe.models.agents.agent import Agent
from marlpipe.models.monotonicity.method import WeightedMixer
from marlpipe.types import EpisodeBatch, JointValueView, Metrics, Trained, TrainingBatch, Update


class Algorithm(WithTargets, ABC):
    """Networks and how they learn.

    accepts: the parts that it works with; UserError for others. agent: the network whose greedy actions are executed.
    mixer: what the monotonicity method acts on.
    """

    accepts: ClassVar[Accepts]
    agent: Agent
    mixer: WeightedMixer

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.accepts.check(parts, type(self).__name__)
        self.monotonicity, self.reward = parts.monotonicity, parts.reward

    @abstractmethod
    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """The gradient steps on one batch. Each is made before the next loss is computed.

        generator: source of all random draws, on the batch's device.
        """

    @abstractmethod
    def trained(self) -> dict[str, Trained]:
        """The parameters of each optimiser, by the names that `updates` uses."""

    def after_step(self) -> None:
        """Applies the monotonicity method's projection to the mixer, after each gradient step."""
        self.monotonicity.after_step(self.mixer)

    @abstractmethod
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """The learned values in these episodes, for diagnostics."""


class OneLoss(Algorithm):
    """An algorithm whose networks all learn from one loss, after the gradient steps of its reward."""

    @abstractmethod
    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""

    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """The gradient steps of the reward, then one of the values, if the mask keeps any time step of the batch."""
        yield from self.reward.updates(batch, generator)
        block_rewards = self.reward(batch.episodes)
        if block_rewards.learn_mask.any():
            loss, metrics = self.loss(batch.episodes, block_rewards, generator)
            yield Update("values", loss, {"loss": loss.detach(), **metrics})

    def trained(self) -> dict[str, Trained]:
        """All parameters that learn, but for those of the reward, as `values`."""
        of_reward = {id(parameter) for parameter in self.reward.parameters()}
        own = [p for p in self.parameters() if p.requires_grad and id(p) not in of_reward]
        return {**self.reward.trained(), "values": Trained(own)}
