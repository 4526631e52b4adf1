"""Weighted projection of an unrestricted Q* onto monotonic functions: CW-QMIX, OW-QMIX and QPro.

    y = returns of Q*′(s′, û),  L = mean[ w (Q_tot − y)² ] + c · mean[ (Q*(s, u) − y)² ],  û greedy by the utilities

(Rashid et al. 2020, §4; Mei, Zhou, Lan 2024, Algorithm 1. They differ in the weights w, the `projection`.)
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import Fit, block_loss, fit_metrics, mixed
from marlpipe.algos.optimal_value import OptimalValue, weighted_fit
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import greedy_actions, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


class WeightedQ(OneLoss):
    """Agents and mixer of the projection, and Q*.

    central_mixer: the mixer of Q*. central_loss_factor: c above. loss_factor: factor of the weighted error.
    """

    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: Callable[..., Mixer],
        monotonicity: Monotonicity,
        projection: Projection,
        reward: Reward,
        returns: Callable[..., Tensor],
        central_mixer: Callable[..., nn.Module],
        loss_factor: float,
        central_loss_factor: float,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__()
        self.agent = agent(spec=spec)
        self.mixer = mixer(spec=spec, partition=partition, monotonicity=monotonicity)
        self.optimal_value = OptimalValue(spec=spec, partition=partition, agent=agent, mixer=central_mixer)
        self.monotonicity, self.projection, self.reward, self.returns = monotonicity, projection, reward, returns
        self.loss_factor, self.central_loss_factor, self.reduction = loss_factor, central_loss_factor, reduction
        self.register_buffer("partition", partition, persistent=False)

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.fit(batch, paid)
        central_error = self.optimal_value(batch).of(batch.actions) - fit.context.targets
        weighted_loss = self.loss_factor * block_loss(fit.weights * fit.td_error**2, paid.trusted, self.reduction)
        central_loss = self.central_loss_factor * block_loss(central_error**2, paid.trusted, self.reduction)
        penalty = self.monotonicity.penalty(
            fit.values, fit.utilities, paid.trusted, lambda u: mixed(self.mixer, u, batch.state[:, :-1], batch.valid)
        )
        total = self.monotonicity.penalty.loss_share * (weighted_loss + central_loss) + penalty
        metrics = {
            "td_loss": weighted_loss.detach(),
            "central_loss": central_loss.detach(),
            "penalty": penalty.detach(),
            **fit_metrics(fit),
        }
        return total, metrics

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> Fit:
        """Values Q_tot, targets y and weights w."""
        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        return weighted_fit(
            batch,
            paid,
            all_utilities,
            greedy_actions(all_utilities.detach(), batch.avail_actions),
            mixer=self.mixer,
            target=self.optimal_value.target(batch),
            projection=self.projection,
            returns=self.returns,
            partition=self.partition,
        )

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions, and Q* beside it."""
        fit, state = self.fit(batch, self.reward(batch)), batch.state[:, :-1]
        return Factorisation(
            utilities=fit.context.utilities,
            joint_value=lambda actions: mixed(
                self.mixer, taken_utilities(fit.context.utilities, actions), state, batch.valid
            ).sum(-1),
            slopes=fit.context.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )

    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.optimal_value.sync_target()

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
