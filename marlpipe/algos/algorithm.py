"""What all algorithms are."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.types import EpisodeBatch, Factorisation, Metrics, Trained, TrainingBatch, Update


class Algorithm(nn.Module, ABC):
    """Networks and how they learn. `agent` is what is executed: each agent takes its best action by it."""

    agent: Agent

    @abstractmethod
    def updates(self, batch: TrainingBatch) -> Iterator[Update]:
        """The gradient steps of one training step. Each is made before the next loss is asked for."""

    @abstractmethod
    def trained(self) -> dict[str, Trained]:
        """The parameters of each optimiser, by the names that `updates` uses."""

    @abstractmethod
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""

    def after_step(self) -> None:
        """What is done to the parameters after each gradient step."""

    @abstractmethod
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """What is learned of these episodes, for diagnostics."""


class OneLoss(Algorithm):
    """An algorithm whose networks all learn from one loss, once its reward has learned."""

    reward: Reward

    @abstractmethod
    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""

    def updates(self, batch: TrainingBatch) -> Iterator[Update]:
        """The reward's gradient steps, then one of the values, if any step of the batch is trusted."""
        yield from self.reward.updates(batch)
        paid = self.reward(batch.episodes)
        if paid.trusted.any():
            loss, metrics = self.loss(batch.episodes, paid)
            yield Update("values", loss, {"loss": loss.detach(), **metrics})

    def trained(self) -> dict[str, Trained]:
        """All parameters that learn, but for the reward's own, as `values`."""
        of_reward = {id(parameter) for parameter in self.reward.parameters()}
        own = [p for p in self.parameters() if p.requires_grad and id(p) not in of_reward]
        return {**self.reward.trained(), "values": Trained(own)}
