"""The LightningModule: what happens in one gradient step and in one evaluation."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor

from marlpipe.algos.algorithm import Algorithm
from marlpipe.errors import UserError
from marlpipe.training.diagnostics import diagnostic_metrics
from marlpipe.types import EpisodeBatch, Metrics, OptimizerOf, TrainingBatch, Update

DIAGNOSED_EPISODES = 4  # of each evaluation
MOST_TOLD = 4  # tensors in a message


class Learner(LightningModule):
    """Learns from batches of episodes by the algorithm's gradient steps.

    Some algorithms take several steps per batch, with optimisers of their own: Lightning leaves the order of those to
    us (manual optimisation), and owns devices and checkpoints.

    optimizer: parameters -> optimizer. gradient_clip: largest norm of a gradient, 0 for none.
    target_update_episodes: collected episodes between two target copies. team_table: the true payoffs of a matrix game.
    generator: source of all draws in gradient steps, on the batches' device.
    """

    def __init__(
        self,
        *,
        algorithm: Algorithm,
        optimizer: OptimizerOf,
        gradient_clip: float,
        target_update_episodes: int,
        team_table: Float[Tensor, " *joint"] | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.algorithm, self.trained = algorithm, algorithm.trained()
        self.optimizer, self.gradient_clip = optimizer, gradient_clip
        self.target_update_episodes, self.synced_at_episode = target_update_episodes, 0
        self.team_table, self.generator = team_table, generator

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> dict[str, Metrics]:
        del batch_idx
        if batch.progress.episodes - self.synced_at_episode >= self.target_update_episodes:
            self.algorithm.sync_targets()
            self.synced_at_episode = batch.progress.episodes
        metrics: Metrics = {}
        for update in self.algorithm.updates(batch, self.generator):
            self.step(update)
            metrics |= update.metrics
        return {"metrics": metrics}

    def step(self, update: Update) -> None:
        """One gradient step."""
        owned, optimizer = self.trained[update.of], self.optimizer_of(update.of)
        optimizer.zero_grad()
        self.manual_backward(update.loss)
        clip = self.gradient_clip if owned.gradient_clip is None else owned.gradient_clip
        self.clip_gradients(optimizer, gradient_clip_val=clip, gradient_clip_algorithm="norm")
        optimizer.step()
        self.algorithm.after_step()

    def optimizer_of(self, name: str) -> Any:
        """Lightning's wrapper of one of the optimisers, which it hands out as a list if there are several."""
        found = self.optimizers()
        return found[list(self.trained).index(name)] if isinstance(found, list) else found

    def validation_step(self, batch: EpisodeBatch, batch_idx: int) -> Metrics:
        """What the greedy episodes returned, and what their first ones tell of the values that were learned."""
        del batch_idx
        returns, looked_at = batch.team_rewards.sum(1), batch.first(DIAGNOSED_EPISODES)
        metrics = {
            "return_mean": returns.mean(),
            "return_std": returns.std(correction=0),
            "return_min": returns.min(),
            "return_max": returns.max(),
            "length_mean": batch.lengths.float().mean(),
            **diagnostic_metrics(self.algorithm.joint_value_view(looked_at), looked_at, self.team_table),
        }
        measured = {f"eval/{name}": value for name, value in metrics.items()}
        self.log_dict({name: value for name, value in measured.items() if value.dim() == 0}, batch_size=len(returns))
        return measured

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["synced_at_episode"] = self.synced_at_episode
        checkpoint["generator"] = self.generator.get_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """UserError for the tensors of other code."""
        check_same_tensors(checkpoint["state_dict"], self.state_dict())
        self.synced_at_episode = checkpoint["synced_at_episode"]
        self.generator.set_state(checkpoint["generator"].cpu())

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [(owned.optimizer or self.optimizer)(owned.parameters) for owned in self.trained.values()]


def learner_seed(seed: int) -> int:
    """Apart from the seed of acting, in the 32 bits that torch's CPU generator uses."""
    return (seed + 2**31) % 2**32


def check_same_tensors(stored: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """UserError if a checkpoint has not the names and shapes of our tensors, with a few that differ."""
    there, here = ({name: list(tensor.shape) for name, tensor in state.items()} for state in (stored, ours))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if names:
        found = [f"    {name}: {there.get(name, 'none')} there, {here.get(name, 'none')} here" for name in names]
        more = [f"    … and {len(names) - MOST_TOLD} more"] if len(names) > MOST_TOLD else []
        raise UserError(
            "\n".join(["the checkpoint was made by other code, whose tensors are not ours:", *found[:MOST_TOLD], *more])
            + "\n  Finish the run with the code that began it, which run.json names;"
            " or move the folder away to train anew."
        )
