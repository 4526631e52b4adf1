"""GraphMIX: a value mixed by attention between agents, and utilities that learn from shares of the reward.

    L = mean[ (Q_tot − y)² ] + λ Σ_i mean[ (q_i − y_i)² ] + penalty,    both means over the steps, i over the living
    y = returns of Q_tot′(s′, û),    y_i = returns of q_i′(û_i) for the rewards share_i · r,    û greedy by utilities

The bootstrap in y_i is a constant and the share is not: the second term trains the mixing too (Naderializadeh et al.
2020, and its public code).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import check_one_block
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.projections.weighted import check_unweighted
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.graph_attention import GraphAttentionMixing, GraphMixed
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.mixers.own import OwnMixing, check_own
from marlpipe.models.monotonicity.jacobian import jacobian
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import gather_valid, greedy_actions, masked_mean, scatter_valid, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphFit:
    """Values and what they are drawn to. `mix`: Q_tot of any utilities. `local_error`: q_i − y_i, zero for the dead."""

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    mix: Callable[[Tensor], Tensor]
    values: Float[Tensor, "B T 1"]
    targets: Float[Tensor, "B T 1"]
    shares: Float[Tensor, "B T N"]
    local_error: Float[Tensor, "B T N"]

    @property
    def td_error(self) -> Float[Tensor, "B T"]:
        return (self.values - self.targets).squeeze(-1)


class GraphMIX(OneLoss):
    """Agents, mixing, targets of both, and their loss.

    alive: which agents take part at each moment of some episodes (`marlpipe.algos.graphmix`). local_factor: λ.
    """

    reads: Bool[Tensor, "1 N"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: OwnMixing | Callable[..., Mixer],
        monotonicity: Monotonicity,
        projection: Projection,
        reward: Reward,
        returns: Callable[..., Tensor],
        mixing: Callable[..., GraphAttentionMixing],
        alive: Callable[[EpisodeBatch], Tensor],
        local_factor: float,
    ) -> None:
        super().__init__()
        check_one_block(partition, "GraphMIX")
        check_own(mixer, "GraphMIX")
        check_unweighted(projection, "GraphMIX")
        self.agent = agent(spec=spec)
        self.mixing = mixing(spec=spec, features=self.agent.hidden, monotonicity=monotonicity)
        self.target_agent = copy.deepcopy(self.agent).requires_grad_(False)
        self.target_mixing = copy.deepcopy(self.mixing).requires_grad_(False)
        self.monotonicity, self.reward, self.returns = monotonicity, reward, returns
        self.alive, self.local_factor = alive, local_factor
        self.register_buffer("reads", partition > 0, persistent=False)

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.fit(batch, paid)
        td_loss = masked_mean(fit.td_error**2, paid.trusted)
        local_loss = self.local_factor * masked_mean((fit.local_error**2).sum(-1), paid.trusted)
        penalty = self.monotonicity.penalty(fit.values, fit.utilities, paid.trusted, fit.mix)
        total = self.monotonicity.penalty.loss_share * (td_loss + local_loss) + penalty
        metrics = {
            "td_loss": td_loss,
            "local_loss": local_loss,
            "penalty": penalty,
            "q_tot": masked_mean(fit.values.squeeze(-1), paid.trusted),
            "target": masked_mean(fit.targets.squeeze(-1), paid.trusted),
            "td_error_abs": masked_mean(fit.td_error.abs(), paid.trusted),
            "largest_share": masked_mean(fit.shares.max(-1).values, paid.trusted),
        }
        return total, {name: value.detach() for name, value in metrics.items()}

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> GraphFit:
        """Values Q_tot, targets y, shares, and q_i − y_i."""
        alive = self.alive(batch)
        all_utilities, features = self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)

        def mixed(utilities: Float[Tensor, "B T N"]) -> GraphMixed:
            moment = gather_valid(batch.valid, utilities, features[:, :-1], batch.state[:, :-1], alive[:, :-1])
            return GraphMixed(*(scatter_valid(found, batch.valid) for found in self.mixing(*moment)))

        values, shares = mixed(utilities)
        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            target_utilities, target_features = self.target_agent.with_features(
                batch.obs, batch.last_actions, batch.filled
            )
            next_utilities = taken_utilities(target_utilities, greedy)
            moment = gather_valid(batch.filled, next_utilities, target_features, batch.state, alive)
            next_values = scatter_valid(self.target_mixing(*moment).values, batch.filled)
            targets = self.returns(paid.rewards, next_values, batch.terminated, batch.valid)
        local_targets = self.returns(shares * paid.rewards, next_utilities, batch.terminated, batch.valid)
        return GraphFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            mix=lambda given: mixed(given).values,
            values=values,
            targets=targets,
            shares=shares,
            local_error=(utilities - local_targets) * alive[:, :-1],
        )

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions."""
        paid = self.reward(batch)
        with torch.enable_grad():
            fit = self.fit(batch, paid)
            errors = fit.td_error**2 + self.local_factor * (fit.local_error**2).sum(-1)
            loss = 0.5 * (errors * paid.trusted).sum()
        utilities = fit.all_utilities.detach()

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            return fit.mix(taken_utilities(utilities, actions)).squeeze(-1)

        def block_gradients() -> Float[Tensor, " 1"]:
            (gradient,) = torch.autograd.grad(loss, fit.utilities, retain_graph=True)
            norm: Tensor = gradient.norm().unsqueeze(0)
            return norm

        return Factorisation(
            utilities=utilities,
            joint_value=joint_value,
            slopes=lambda: jacobian(fit.values, fit.utilities).detach(),
            reads=self.reads,
            block_gradients=block_gradients,
        )

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.target_agent.load_state_dict(self.agent.state_dict())
        self.target_mixing.load_state_dict(self.mixing.state_dict())


def everyone(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """All agents, always."""
    return torch.ones_like(batch.avail_actions[..., 0])


def seeing_or_choosing(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """Agents that observe anything but zeros or have more than one available action.

    Whom predator-prey removes has neither. Not for worlds in which a living agent may have neither.
    """
    return (batch.obs != 0).any(-1) | (batch.avail_actions.sum(-1) > 1)
