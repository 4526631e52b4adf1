"""The LightningModule: one gradient step, and one evaluation."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor, nn

from marlpipe.algos.algorithm import Algorithm
from marlpipe.errors import DivergenceError, UserError
from marlpipe.runs.text import first_few
from marlpipe.training.diagnostics import diagnostic_metrics, episode_metrics
from marlpipe.training.learning_rate import LinearDecay
from marlpipe.types import EpisodeBatch, Metrics, OptimizerOf, TrainingBatch, Update

DIAGNOSED_EPISODES = 4  # of each evaluation
MOST_SHOWN = 4  # tensors in a message


class Learner(LightningModule):
    """Takes the algorithm's gradient steps on batches of episodes, and copies target networks.

    Some algorithms take several gradient steps per batch, each with its own optimiser; so optimisation is manual, and
    Lightning owns devices and checkpoints.

    Args:
        algorithm: the loss with its networks.
        optimizer: parameters -> optimizer.
        learning_rate: by env steps, the share of the optimizers' learning rates that applies.
        gradient_clip: largest norm of a gradient; 0: no clipping.
        target_update_episodes: collected episodes between two copies of the target networks.
        team_table: A × … × A, the true payoffs of a matrix game; None elsewhere.
        generator: source of all draws in gradient steps, on the batches' device.
    """

    def __init__(
        self,
        *,
        algorithm: Algorithm,
        optimizer: OptimizerOf,
        learning_rate: LinearDecay,
        gradient_clip: float,
        target_update_episodes: int,
        team_table: Float[Tensor, " *joint"] | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.algorithm, self.trained = algorithm, algorithm.trained()
        self.optimizer, self.learning_rate, self.gradient_clip = optimizer, learning_rate, gradient_clip
        self.target_update_episodes, self.synced_at_episode = target_update_episodes, 0
        self.team_table, self.generator = team_table, generator

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> dict[str, Metrics]:
        del batch_idx
        if batch.progress.episodes - self.synced_at_episode >= self.target_update_episodes:
            self.algorithm.sync_targets()
            self.synced_at_episode = batch.progress.episodes
        if (share := self.learning_rate(batch.progress.env_steps)) != 1:
            self.set_learning_rates(share)
        metrics: Metrics = {}
        for update in self.algorithm.updates(batch, self.generator):
            norm = self.step(update)
            check_finite(update, norm, after=f"gradient step {self.global_step}, {batch.progress.env_steps} env steps")
            metrics |= update.metrics
        return {"metrics": metrics}

    def set_learning_rates(self, share: float) -> None:
        """Sets each optimizer's learning rates to a share of those that it was made with."""
        optimizers = self.optimizers(use_pl_optimizer=False)
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            for group in optimizer.param_groups:
                group["lr"] = share * optimizer.defaults["lr"]

    def step(self, update: Update) -> Float[Tensor, ""]:
        """One gradient step. Returns the norm of the gradient before it is clipped."""
        owned, optimizer = self.trained[update.of], self.optimizer_of(update.of)
        optimizer.zero_grad()
        self.manual_backward(update.loss)
        clip = self.gradient_clip if owned.gradient_clip is None else owned.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(owned.parameters, clip or math.inf)
        optimizer.step()
        self.algorithm.after_step()
        return norm

    def optimizer_of(self, name: str) -> Any:
        """Lightning's wrapper of the named optimiser; Lightning returns a list if there are several."""
        found = self.optimizers()
        return found[list(self.trained).index(name)] if isinstance(found, list) else found

    def validation_step(self, batch: EpisodeBatch, batch_idx: int) -> Metrics:
        """Returns of the greedy episodes, and diagnostics of the first few of them."""
        del batch_idx
        check_finite_parameters(self.algorithm)
        first = batch.first(DIAGNOSED_EPISODES)
        diagnostics = diagnostic_metrics(self.algorithm.joint_value_view(first), first, self.team_table)
        metrics = {f"eval/{name}": value for name, value in {**episode_metrics(batch), **diagnostics}.items()}
        scalars = {name: value for name, value in metrics.items() if value.dim() == 0}
        self.log_dict(scalars, batch_size=len(batch.lengths))
        return metrics

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["synced_at_episode"] = self.synced_at_episode
        checkpoint["generator"] = self.generator.get_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores what `on_save_checkpoint` added. UserError if other code made the checkpoint."""
        check_same_tensors(checkpoint["state_dict"], self.state_dict())
        self.synced_at_episode = checkpoint["synced_at_episode"]
        self.generator.set_state(checkpoint["generator"].cpu())

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [(owned.optimizer or self.optimizer)(owned.parameters) for owned in self.trained.values()]


def learner_seed(seed: int) -> int:
    """Apart from the seed of acting, in the 32 bits that torch's CPU generator uses."""
    return (seed + 2**31) % 2**32


def check_finite(update: Update, norm: Float[Tensor, ""], *, after: str) -> None:
    """DivergenceError if a loss or its gradient is NaN or infinite.

    Args:
        update: of which both are.
        norm: of the gradient.
        after: when it was made, in words.
    """
    loss = update.loss.detach()
    if not (loss + norm).isfinite():
        wrong = f"the loss of its {update.of}" if not loss.isfinite() else f"the gradient of its {update.of}"
        raise DivergenceError(
            f"the run diverged: {wrong} is {float(norm if loss.isfinite() else loss):g} ({after})\n"
            "  next: a smaller profile.optimizer.lr or profile.gradient_clip; metrics.jsonl shows how it came"
        )


def check_finite_parameters(algorithm: nn.Module) -> None:
    """DivergenceError if a parameter is NaN or infinite, as after a last gradient step that nothing has used so far."""
    wrong = [name for name, parameter in algorithm.named_parameters() if not parameter.isfinite().all()]
    if wrong:
        raise DivergenceError(
            f"the run diverged: {len(wrong)} of its parameters are not finite, as {wrong[0]}\n"
            "  next: a smaller profile.optimizer.lr or profile.gradient_clip"
        )


def check_same_tensors(stored: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """UserError, with some differences, if a checkpoint's tensors have other names or shapes than this code's."""
    there, here = ({name: list(tensor.shape) for name, tensor in state.items()} for state in (stored, ours))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if names:
        found = [f"{name}: {there.get(name, 'none')} there, {here.get(name, 'none')} here" for name in names]
        shown = first_few(found, MOST_SHOWN, indent="    ")
        raise UserError(
            "\n".join(["the checkpoint was made by other code, with other tensors:", *shown])
            + "\n  Finish the run with the code that began it, which run.json names;"
            " or move the folder away to train anew."
        )
