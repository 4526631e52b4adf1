"""ResQ: a monotone main value and a residual that is never positive and zero where actions are greedy.

    Q_jt = Q_tot + w_r Q_r,  Q_r ≤ 0,  w_r = 1 − 1[u = û],  y = returns of Q*′(s′, û),  û greedy by the main utilities
    L = mean[ (Q_jt − y)² ] + c · mean[ (Q*(s, u) − y)² ] + c_r · mean[ max(Q_r, 0)² ] + penalty

(Shen et al. 2022.) With several blocks û is each block's own, and each block has a residual.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import TDFit, block_loss, greedy_blocks, mix_valid
from marlpipe.algos.optimal_value import OptimalValue
from marlpipe.algos.parts import Accepts, MakesValue, Parts, Returns
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Factor
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import greedy_actions, masked_mean, taken_utilities
from marlpipe.types import EpisodeBatch, JointValueView, Metrics


def negative_abs(residual: Tensor) -> Tensor:
    """−|Q_r|: never positive, whatever the network computes."""
    return -residual.abs()


def raw(residual: Tensor) -> Tensor:
    """The network's output: only a penalty pulls it below zero."""
    return residual


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualTDFit(TDFit):
    """A fit whose values are Q_jt. main: Q_tot of the taken actions, and what `mix` computes.

    greedy: û. residual: Q_r, not yet masked by residual_weight: w_r. optimal_values: Q*(s, u).
    """

    greedy: Int[Tensor, "B T N"]
    main: Float[Tensor, "B T J"]
    residual: Float[Tensor, "B T J"]
    residual_weight: Float[Tensor, "B T J"]
    optimal_values: Float[Tensor, "B T J"]


class ResQ(OneLoss):
    """Main agents and mixer, residual agents and mixer, and Q*.

    residual_mixer, central_mixer: the mixers of Q_r and Q*. residual: from the output of the former to Q_r.
    loss_factor: factor of the error of Q_jt. central_loss_factor: c. residual_loss_factor: c_r.
    reduction: `sum` over blocks, or their `mean`.
    """

    accepts = Accepts(blocks="any", mixer="group", weights="uniform")
    mixer: Mixer
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        residual: Callable[[Tensor], Tensor],
        residual_mixer: MakesValue,
        central_mixer: MakesValue,
        loss_factor: Factor,
        central_loss_factor: Factor,
        residual_loss_factor: Factor,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = parts.mixer(spec=parts.spec, partition=parts.partition, monotonicity=parts.monotonicity)
        self.residual_agent = copy.deepcopy(self.agent)
        self.residual_mixer = residual_mixer(spec=parts.spec, partition=parts.partition)
        self.optimal_value = OptimalValue(parts, central_mixer)
        self.returns, self.residual, self.reduction = returns, residual, reduction
        self.loss_factor, self.central_loss_factor = loss_factor, central_loss_factor
        self.residual_loss_factor = residual_loss_factor
        self.register_buffer("partition", parts.partition, persistent=False)

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.predict(batch, block_rewards)
        td_loss = self.loss_factor * block_loss(fit.errors, fit.mask, self.reduction)
        central_error = fit.optimal_values - fit.targets
        central_loss = self.central_loss_factor * block_loss(central_error**2, fit.mask, self.reduction)
        excess = torch.relu(fit.residual)
        residual_loss = self.residual_loss_factor * block_loss(excess**2, fit.mask, self.reduction)
        total, penalty = self.monotonicity.penalised(
            td_loss + central_loss + residual_loss, fit.main, fit.utilities, fit.mask, fit.mix, generator
        )
        metrics = {
            "td_loss": td_loss,
            "central_loss": central_loss,
            "residual_loss": residual_loss,
            "penalty": penalty,
            "q_tot": masked_mean(fit.main.sum(-1), fit.mask),
            "residual": masked_mean((fit.residual_weight * fit.residual).sum(-1), fit.mask),
            "target": masked_mean(fit.targets.sum(-1), fit.mask),
            "td_error_abs": masked_mean(fit.td_error.abs().mean(-1), fit.mask),
        }
        return total, {name: value.detach() for name, value in metrics.items()}

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> ResidualTDFit:
        """Values Q_tot, Q_r, w_r and Q*, and targets y."""
        state = batch.state[:, :-1]

        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
        main = mix_valid(self.mixer, utilities, state, batch.valid)

        residual_utilities = taken_utilities(
            self.residual_agent(batch.obs, batch.last_actions, batch.filled)[:, :-1], batch.actions
        )
        residual = self.residual(mix_valid(self.residual_mixer, residual_utilities, state, batch.valid))

        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            greedy_optimal_values = self.optimal_value.target(batch).at_all_steps(greedy)
            targets = self.returns(block_rewards.rewards, greedy_optimal_values, batch.terminated, batch.valid)

        @torch.no_grad()
        def slopes() -> Float[Tensor, "B T J N"]:
            return self.mixer.slopes(utilities.detach(), state)

        residual_weight = self.residual_weight(batch.actions, greedy[:, :-1])
        return ResidualTDFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            values=main + residual_weight * residual,
            targets=targets,
            weights=torch.ones_like(targets),
            mask=block_rewards.learn_mask,
            mix=lambda given: mix_valid(self.mixer, given, state, batch.valid),
            slopes=slopes,
            greedy=greedy[:, :-1],
            main=main,
            residual=residual,
            residual_weight=residual_weight,
            optimal_values=self.optimal_value(batch).of(batch.actions),
        )

    def residual_weight(self, actions: Int[Tensor, "B T N"], greedy: Int[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        """w_r = 1 − 1[u_J = û_J]."""
        return (~greedy_blocks(actions == greedy, self.partition)).to(self.partition)

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_jt = Σ_J Q_tot + w_r Q_r of any joint actions, and Q*."""
        fit = self.predict(batch, self.reward(batch))
        residual_utilities = self.residual_agent(batch.obs, batch.last_actions, batch.filled)[:, :-1]

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            utilities = taken_utilities(residual_utilities, actions)
            residual = self.residual(mix_valid(self.residual_mixer, utilities, batch.state[:, :-1], batch.valid))
            main = fit.mix(taken_utilities(fit.all_utilities, actions))
            return (main + self.residual_weight(actions, fit.greedy) * residual).sum(-1)

        return JointValueView(
            utilities=fit.all_utilities,
            joint_value=joint_value,
            slopes=fit.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )
