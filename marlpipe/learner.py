"""The LightningModule: what happens in one gradient step and in one evaluation."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor, nn

from marlpipe.agents.agent import Agent
from marlpipe.agents.inputs import last_actions
from marlpipe.jacobian import violation_rate
from marlpipe.mixers.mixer import Mixer
from marlpipe.targets import chosen
from marlpipe.types import EpisodeBatch, Metrics, TrainingBatch


@runtime_checkable
class Algorithm(Protocol):
    """A loss with parameters. `agent` is what is executed."""

    agent: Agent
    mixer: Mixer

    def loss(self, batch: EpisodeBatch) -> tuple[Float[Tensor, ""], Metrics]: ...

    def sync_targets(self) -> None: ...

    def after_step(self) -> None: ...

    def parameters(self) -> Iterable[nn.Parameter]: ...


class Learner(LightningModule):
    """Learns from batches of episodes. Lightning owns the optimiser's step, clipping, devices and checkpoints.

    optimizer: parameters -> optimizer. target_update_episodes: collected episodes between two target copies.
    """

    def __init__(
        self,
        *,
        algorithm: Algorithm,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        target_update_episodes: int,
    ) -> None:
        super().__init__()
        self.algorithm = algorithm
        self.optimizer, self.target_update_episodes = optimizer, target_update_episodes
        self.synced_at_episode = 0

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> dict[str, Any]:
        del batch_idx
        if batch.progress.episodes - self.synced_at_episode >= self.target_update_episodes:
            self.algorithm.sync_targets()
            self.synced_at_episode = batch.progress.episodes
        loss, metrics = self.algorithm.loss(batch.episodes)
        return {"loss": loss, "metrics": {"loss": loss.detach(), **metrics}}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.algorithm.after_step()

    def validation_step(self, batch: EpisodeBatch, batch_idx: int) -> Metrics:
        del batch_idx
        returns = batch.team_rewards.sum(1)
        metrics = {
            "return_mean": returns.mean(),
            "return_std": returns.std(correction=0),
            "return_min": returns.min(),
            "return_max": returns.max(),
            "length_mean": batch.lengths.float().mean(),
            "monotonicity_violation_rate": self.monotonicity_violation_rate(batch),
        }
        self.log_dict({f"eval/{name}": value for name, value in metrics.items()}, batch_size=len(returns))
        return metrics

    def monotonicity_violation_rate(self, batch: EpisodeBatch) -> Float[Tensor, ""]:
        """The share of ∂F/∂U < 0 along the evaluation's episodes."""
        acted = last_actions(batch.actions, batch.avail_actions.shape[-1])
        utilities = chosen(self.algorithm.agent(batch.obs, acted, batch.filled)[:, :-1], batch.actions)
        slopes = self.algorithm.mixer.slopes(utilities, batch.state[:, :-1])
        return violation_rate(slopes, self.algorithm.mixer.reads, batch.valid)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["synced_at_episode"] = self.synced_at_episode

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.synced_at_episode = checkpoint["synced_at_episode"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer([p for p in self.algorithm.parameters() if p.requires_grad])
