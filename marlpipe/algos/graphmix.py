"""GraphMIX: a value mixed by attention between agents, and utilities that learn from shares of the reward.

    L = mean[ (Q_tot − y)² ] + λ Σ_i mean[ (q_i − y_i)² ] + penalty,    both means over the steps, i over the living
    y = returns of Q_tot′(s′, û),    y_i = returns of q_i′(û_i) for the rewards share_i · r,    û greedy by utilities

The bootstrap in y_i is a constant and the share is not: the second term trains the mixing too (Naderializadeh et al.
2020, and its public code).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import gradient_norm
from marlpipe.algos.parts import Accepts, Parts, Returns
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Factor
from marlpipe.models.mixers.graph_attention import GraphAttentionMixing, GraphMixed
from marlpipe.models.monotonicity.jacobian import jacobian
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import (
    apply_valid,
    gather_valid,
    greedy_actions,
    masked_mean,
    scatter_valid,
    taken_utilities,
)
from marlpipe.types import EnvSpec, EpisodeBatch, JointValueView, Metrics


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphTDFit:
    """Values Q_tot of the taken actions with their targets, and the agents' own errors.

    mix: Q_tot of any utilities. local_error: q_i − y_i, zero for the dead. local_factor: λ. mask: the time steps to
    learn from.
    """

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    mix: Callable[[Tensor], Tensor]
    values: Float[Tensor, "B T 1"]
    targets: Float[Tensor, "B T 1"]
    shares: Float[Tensor, "B T N"]
    local_error: Float[Tensor, "B T N"]
    local_factor: float
    mask: Bool[Tensor, "B T"]

    @property
    def td_error(self) -> Float[Tensor, "B T"]:
        """Q_tot − y."""
        return (self.values - self.targets).squeeze(-1)

    @property
    def errors(self) -> Float[Tensor, "B T"]:
        """(Q_tot − y)² + λ Σ_i (q_i − y_i)², which the loss averages."""
        return self.td_error**2 + self.local_factor * self.local_errors

    @property
    def local_errors(self) -> Float[Tensor, "B T"]:
        """Σ_i (q_i − y_i)²."""
        return (self.local_error**2).sum(-1)


@runtime_checkable
class MakesMixing(Protocol):
    """Makes the mixer for agents with features of this width."""

    def __call__(self, *, spec: EnvSpec, features: int, monotonicity: Monotonicity) -> GraphAttentionMixing: ...


class GraphMIX(OneLoss):
    """Agents, mixing, targets of both, and their loss.

    alive: which agents take part at each time step (`everyone` or `observing_or_able_to_act`). local_factor: λ.
    """

    accepts = Accepts(blocks="one", mixer="builtin", weights="uniform")
    mixer: GraphAttentionMixing
    reads: Bool[Tensor, "1 N"]

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        mixing: MakesMixing,
        alive: Callable[[EpisodeBatch], Tensor],
        local_factor: Factor,
    ) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = mixing(spec=parts.spec, features=self.agent.hidden, monotonicity=parts.monotonicity)
        self.target_agent, self.target_mixer = self.target_of(self.agent), self.target_of(self.mixer)
        self.returns, self.alive, self.local_factor = returns, alive, local_factor
        self.register_buffer("reads", parts.partition > 0, persistent=False)

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.predict(batch, block_rewards)
        td_loss = masked_mean(fit.td_error**2, fit.mask)
        local_loss = fit.local_factor * masked_mean(fit.local_errors, fit.mask)
        total, penalty = self.monotonicity.penalised(
            td_loss + local_loss, fit.values, fit.utilities, fit.mask, fit.mix, generator
        )
        metrics = {
            "td_loss": td_loss,
            "local_loss": local_loss,
            "penalty": penalty,
            "q_tot": masked_mean(fit.values.squeeze(-1), fit.mask),
            "target": masked_mean(fit.targets.squeeze(-1), fit.mask),
            "td_error_abs": masked_mean(fit.td_error.abs(), fit.mask),
            "largest_share": masked_mean(fit.shares.max(-1).values, fit.mask),
        }
        return total, {name: value.detach() for name, value in metrics.items()}

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> GraphTDFit:
        """Values Q_tot, targets y, shares, and q_i − y_i."""
        alive = self.alive(batch)
        all_utilities, features = self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)

        def mixed(utilities: Float[Tensor, "B T N"]) -> GraphMixed:
            inputs = gather_valid(batch.valid, utilities, features[:, :-1], batch.state[:, :-1], alive[:, :-1])
            outputs = self.mixer(*(rows.unsqueeze(1) for rows in inputs))
            return GraphMixed(*(scatter_valid(rows.squeeze(1), batch.valid) for rows in outputs))

        values, shares = mixed(utilities)
        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            target_utilities, target_features = self.target_agent.with_features(
                batch.obs, batch.last_actions, batch.filled
            )
            next_utilities = taken_utilities(target_utilities, greedy)
            next_values = apply_valid(
                lambda *inputs: self.target_mixer(*inputs).values,
                batch.filled,
                *(next_utilities, target_features, batch.state, alive),
            )
            targets = self.returns(block_rewards.rewards, next_values, batch.terminated, batch.valid)
        local_targets = self.returns(shares * block_rewards.rewards, next_utilities, batch.terminated, batch.valid)
        return GraphTDFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            mix=lambda given: mixed(given).values,
            values=values,
            targets=targets,
            shares=shares,
            local_error=(utilities - local_targets) * alive[:, :-1],
            local_factor=self.local_factor,
            mask=block_rewards.learn_mask,
        )

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot of any joint actions."""
        with torch.enable_grad():
            fit = self.predict(batch, self.reward(batch))
            errors = fit.errors * fit.mask
        utilities = fit.all_utilities.detach()

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            return fit.mix(taken_utilities(utilities, actions)).squeeze(-1)

        return JointValueView(
            utilities=utilities,
            joint_value=joint_value,
            slopes=lambda: jacobian(fit.values, fit.utilities).detach(),
            reads=self.reads,
            block_gradients=lambda: gradient_norm(errors, fit.utilities),
        )


def everyone(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """All agents, at every time step."""
    return torch.ones_like(batch.avail_actions[..., 0])


def observing_or_able_to_act(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """Agents that observe anything but zeros or have more than one available action.

    Agents that predator-prey removes do neither. Not for environments in which a living agent may do neither.
    """
    return (batch.obs != 0).any(-1) | (batch.avail_actions.sum(-1) > 1)
