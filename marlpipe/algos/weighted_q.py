"""Weighted projection of an unrestricted Q* onto monotonic functions: CW-QMIX, OW-QMIX and QPro.

    y = returns of Q*′(s′, û),  L = mean[ w (Q_tot − y)² ] + c · mean[ (Q*(s, u) − y)² ],  û greedy by the utilities

(Rashid et al. 2020, §4; Mei, Zhou, Lan 2024, Algorithm 1. They differ in the weights w, the `projection`.)
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import TDFit, block_loss, td_metrics
from marlpipe.algos.optimal_value import OptimalValue, project_optimal_value
from marlpipe.algos.parts import Accepts, MakesValue, Parts, Returns
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Factor
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import greedy_actions
from marlpipe.types import EpisodeBatch, JointValueView, Metrics


class WeightedQ(OneLoss):
    """Agents and mixer of the projection, and Q*.

    central_mixer: the mixer of Q*. central_loss_factor: c above. loss_factor: factor of the weighted error.
    """

    accepts = Accepts(blocks="any", mixer="group", weights="any")
    mixer: Mixer
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        central_mixer: MakesValue,
        loss_factor: Factor,
        central_loss_factor: Factor,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = parts.mixer(spec=parts.spec, partition=parts.partition, monotonicity=parts.monotonicity)
        self.optimal_value = OptimalValue(parts, central_mixer)
        self.projection, self.returns = parts.projection, returns
        self.loss_factor, self.central_loss_factor, self.reduction = loss_factor, central_loss_factor, reduction
        self.register_buffer("partition", parts.partition, persistent=False)

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.predict(batch, block_rewards)
        central_error = self.optimal_value(batch).of(batch.actions) - fit.targets
        weighted_loss = self.loss_factor * block_loss(fit.errors, fit.mask, self.reduction)
        central_loss = self.central_loss_factor * block_loss(central_error**2, fit.mask, self.reduction)
        total, penalty = self.monotonicity.penalised(
            weighted_loss + central_loss, fit.values, fit.utilities, fit.mask, fit.mix, generator
        )
        metrics = {
            "td_loss": weighted_loss.detach(),
            "central_loss": central_loss.detach(),
            "penalty": penalty.detach(),
            **td_metrics(fit),
        }
        return total, metrics

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> TDFit:
        """Values Q_tot, targets y and weights w."""
        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        return project_optimal_value(
            batch,
            block_rewards,
            all_utilities,
            greedy_actions(all_utilities.detach(), batch.avail_actions),
            mixer=self.mixer,
            target=self.optimal_value.target(batch),
            projection=self.projection,
            returns=self.returns,
            partition=self.partition,
        )

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot of any joint actions, and Q*."""
        fit = self.predict(batch, self.reward(batch))
        return JointValueView(
            utilities=fit.all_utilities,
            joint_value=fit.joint_value,
            slopes=fit.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )
