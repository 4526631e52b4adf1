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
from torch import Tensor, nn

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import block_loss, greedy_blocks, mixed
from marlpipe.algos.optimal_value import OptimalValue
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.projections.weighted import check_unweighted
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import greedy_actions, masked_mean, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


def negative_abs(residual: Tensor) -> Tensor:
    """−|Q_r|: never positive, whatever the network says."""
    return -residual.abs()


def raw(residual: Tensor) -> Tensor:
    """What the network says: only a penalty pulls it below zero."""
    return residual


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualFit:
    """Values of the taken actions and what they are drawn to. `residual` is not masked by w_r."""

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    greedy: Int[Tensor, "B T N"]
    main: Float[Tensor, "B T J"]
    residual: Float[Tensor, "B T J"]
    residual_weight: Float[Tensor, "B T J"]
    optimal_values: Float[Tensor, "B T J"]
    targets: Float[Tensor, "B T J"]

    @property
    def td_error(self) -> Float[Tensor, "B T J"]:
        return self.main + self.residual_weight * self.residual - self.targets


class ResQ(OneLoss):
    """Main agents and mixer, residual agents and mixer, and Q*.

    residual: what becomes of the residual mixer's output. residual_loss_factor: c_r. central_loss_factor: c.
    reduction: `sum` over blocks, or their `mean`.
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
        residual: Callable[[Tensor], Tensor],
        residual_mixer: Callable[..., nn.Module],
        central_mixer: Callable[..., nn.Module],
        loss_factor: float,
        central_loss_factor: float,
        residual_loss_factor: float,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__()
        check_unweighted(projection, "ResQ")
        self.agent = agent(spec=spec)
        self.mixer = mixer(spec=spec, partition=partition, monotonicity=monotonicity)
        self.residual_agent = copy.deepcopy(self.agent)
        self.residual_mixer = residual_mixer(spec=spec, partition=partition)
        self.optimal_value = OptimalValue(spec=spec, partition=partition, agent=agent, mixer=central_mixer)
        self.monotonicity, self.reward, self.returns, self.residual = monotonicity, reward, returns, residual
        self.loss_factor, self.central_loss_factor = loss_factor, central_loss_factor
        self.residual_loss_factor, self.reduction = residual_loss_factor, reduction
        self.register_buffer("partition", partition, persistent=False)

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit, exists = self.fit(batch, paid), paid.trusted
        td_loss = self.loss_factor * block_loss(fit.td_error**2, exists, self.reduction)
        central_error = fit.optimal_values - fit.targets
        central_loss = self.central_loss_factor * block_loss(central_error**2, exists, self.reduction)
        excess = torch.relu(fit.residual)
        residual_loss = self.residual_loss_factor * block_loss(excess**2, exists, self.reduction)
        penalty = self.monotonicity.penalty(
            fit.main, fit.utilities, exists, lambda u: mixed(self.mixer, u, batch.state[:, :-1], batch.valid)
        )
        total = self.monotonicity.penalty.loss_share * (td_loss + central_loss + residual_loss) + penalty
        metrics = {
            "td_loss": td_loss,
            "central_loss": central_loss,
            "residual_loss": residual_loss,
            "penalty": penalty,
            "q_tot": masked_mean(fit.main.sum(-1), exists),
            "residual": masked_mean((fit.residual_weight * fit.residual).sum(-1), exists),
            "target": masked_mean(fit.targets.sum(-1), exists),
            "td_error_abs": masked_mean(fit.td_error.abs().mean(-1), exists),
        }
        return total, {name: value.detach() for name, value in metrics.items()}

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> ResidualFit:
        """Values Q_tot, Q_r, w_r and Q*, and targets y."""
        state = batch.state[:, :-1]

        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
        main = mixed(self.mixer, utilities, state, batch.valid)

        residual_utilities = taken_utilities(
            self.residual_agent(batch.obs, batch.last_actions, batch.filled)[:, :-1], batch.actions
        )
        residual = self.residual(mixed(self.residual_mixer, residual_utilities, state, batch.valid))

        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            greedy_optimal_values = self.optimal_value.target(batch).at_all_moments(greedy)
            targets = self.returns(paid.rewards, greedy_optimal_values, batch.terminated, batch.valid)
        return ResidualFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            greedy=greedy[:, :-1],
            main=main,
            residual=residual,
            residual_weight=self.residual_weight(batch.actions, greedy[:, :-1]),
            optimal_values=self.optimal_value(batch).of(batch.actions),
            targets=targets,
        )

    def residual_weight(self, actions: Int[Tensor, "B T N"], greedy: Int[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        """w_r = 1 − 1[u_J = û_J]."""
        return (~greedy_blocks(actions == greedy, self.partition)).to(self.partition)

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_jt = Σ_J Q_tot + w_r Q_r of any joint actions, and Q* beside it."""
        paid = self.reward(batch)
        fit, state = self.fit(batch, paid), batch.state[:, :-1]
        residual_utilities = self.residual_agent(batch.obs, batch.last_actions, batch.filled)[:, :-1]

        @torch.no_grad()
        def value(mixer: nn.Module, utilities: Tensor, actions: Tensor) -> Tensor:
            return mixed(mixer, taken_utilities(utilities, actions), state, batch.valid)

        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            residual = self.residual(value(self.residual_mixer, residual_utilities, actions))
            masked = self.residual_weight(actions, fit.greedy) * residual
            return (value(self.mixer, fit.all_utilities, actions) + masked).sum(-1)

        @torch.no_grad()
        def slopes() -> Float[Tensor, "B T J N"]:
            return self.mixer.slopes(fit.utilities, state)

        def block_gradients() -> Float[Tensor, " J"]:
            pull = (fit.td_error * paid.trusted.unsqueeze(-1)).unsqueeze(-1) * slopes()
            norms: Tensor = pull.movedim(2, 0).flatten(1).norm(dim=1)
            return norms

        return Factorisation(
            utilities=fit.all_utilities,
            joint_value=joint_value,
            slopes=slopes,
            reads=self.mixer.reads,
            block_gradients=block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )

    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.optimal_value.sync_target()

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
