"""Q-learning of a factorised value: IQL, VDN, QMIX and LOMAQ are this loss with different parts.

    L = Σ_J mean[ w_J (F_J(U) − y_J)² ] + penalty,    y_J = r_J + γ (1 − terminated) F_J′(U′(û))

(QMIX: Rashid et al. 2018, eq. 6; LOMAQ: Zohar et al. 2022, Algorithms 2 and 3.)
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import TDFit, block_loss, greedy_blocks, mix_valid, td_metrics
from marlpipe.algos.parts import Accepts, Parts, Returns
from marlpipe.algos.projections.context import ProjectionContext
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Factor
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import greedy_actions, taken_utilities
from marlpipe.types import EpisodeBatch, JointValueView, Metrics


class FactorisedQ(OneLoss):
    """Online and target agents and mixers, and their loss.

    returns: targets from rewards and next values. next_actions: the joint actions û that are bootstrapped from, of
    online and target utilities and the episodes (both of `targets.py`). loss_factor: factor of the squared error.
    reduction: `sum` over blocks, or their `mean` (independent learners).
    """

    accepts = Accepts(blocks="any", mixer="group", weights="without_q_star")
    mixer: Mixer
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        next_actions: Callable[[Tensor, Tensor, EpisodeBatch], Tensor],
        loss_factor: Factor,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = parts.mixer(spec=parts.spec, partition=parts.partition, monotonicity=parts.monotonicity)
        self.target_agent, self.target_mixer = self.target_of(self.agent), self.target_of(self.mixer)
        self.projection, self.returns, self.next_actions = parts.projection, returns, next_actions
        self.loss_factor, self.reduction = loss_factor, reduction
        self.register_buffer("partition", parts.partition, persistent=False)

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.predict(batch, block_rewards)
        td_loss = self.loss_factor * block_loss(fit.errors, fit.mask, self.reduction)
        total, penalty = self.monotonicity.penalised(td_loss, fit.values, fit.utilities, fit.mask, fit.mix, generator)
        return total, {"td_loss": td_loss.detach(), "penalty": penalty.detach(), **td_metrics(fit)}

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> TDFit:
        """Values F_J(U), targets y_J and weights w_J."""
        state = batch.state[:, :-1]
        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
        values = mix_valid(self.mixer, utilities, state, batch.valid)

        @torch.no_grad()
        def slopes() -> Float[Tensor, "B T J N"]:
            return self.mixer.slopes(utilities.detach(), state)

        with torch.no_grad():
            target_utilities = self.target_agent(batch.obs, batch.last_actions, batch.filled)
            next_actions = self.next_actions(all_utilities, target_utilities, batch)
            next_values = mix_valid(
                self.target_mixer, taken_utilities(target_utilities, next_actions), batch.state, batch.filled
            )
            targets = self.returns(block_rewards.rewards, next_values, batch.terminated, batch.valid)

            def context() -> ProjectionContext:
                greedy = greedy_actions(all_utilities, batch.avail_actions)[:, :-1]
                return ProjectionContext(
                    values=values.detach(),
                    targets=targets,
                    mask=block_rewards.learn_mask,
                    is_greedy=greedy_blocks(greedy == batch.actions, self.partition),
                    utilities=all_utilities[:, :-1].detach(),
                    avail_actions=batch.avail_actions[:, :-1],
                    actions=batch.actions,
                    reads=self.mixer.reads,
                    slopes=slopes,
                )

            weights = self.projection(values.detach(), context)
        return TDFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            values=values,
            targets=targets,
            weights=weights,
            mask=block_rewards.learn_mask,
            mix=lambda given: mix_valid(self.mixer, given, state, batch.valid),
            slopes=slopes,
        )

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot = Σ_J F_J of any joint actions."""
        fit = self.predict(batch, self.reward(batch))
        return JointValueView(
            utilities=fit.all_utilities,
            joint_value=fit.joint_value,
            slopes=fit.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
        )
