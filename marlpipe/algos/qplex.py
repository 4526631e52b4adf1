"""QPLEX: Q-learning of a duplex dueling value (Wang et al. 2021).

    L = mean[ (Q_tot(s, u) − y)² ] + penalty,    y = returns of Q_tot′(s′, û),  û greedy by the utilities

(Mixing: `marlpipe.models.mixers.duplex`.)
"""

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
from marlpipe.models.mixers.duplex import Duplex, DuplexMixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import gather_valid, greedy_actions, masked_mean, scatter_valid, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, JointValueView, Metrics


@dataclass(frozen=True, kw_only=True, eq=False)
class DuplexTDFit:
    """Values Q_tot of the taken actions with their targets.

    best: each agent's highest available utility. mask: the time steps to learn from.
    """

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    best: Float[Tensor, "B T N"]
    duplex: Duplex
    values: Float[Tensor, "B T"]
    targets: Float[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]

    @property
    def td_error(self) -> Float[Tensor, "B T"]:
        """Q_tot − y."""
        return self.values - self.targets

    def mix(self, utilities: Float[Tensor, "B T N"]) -> Float[Tensor, "B T 1"]:
        """Q_tot of any utilities, with the w, v and λ of the taken actions."""
        return self.duplex.dueling_value(utilities, self.best).unsqueeze(-1)


@runtime_checkable
class MakesDuplex(Protocol):
    """Makes the mixer."""

    def __call__(self, *, spec: EnvSpec, monotonicity: Monotonicity) -> DuplexMixer: ...


class QPLEX(OneLoss):
    """Online and target agents and duplex mixers, and their loss.

    returns: targets from rewards and next values (`targets.py`). loss_factor: factor of the squared error.
    """

    accepts = Accepts(blocks="one", mixer="builtin", weights="uniform")
    mixer: DuplexMixer

    def __init__(self, parts: Parts, *, returns: Returns, duplex: MakesDuplex, loss_factor: Factor) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = duplex(spec=parts.spec, monotonicity=parts.monotonicity)
        self.target_agent, self.target_mixer = self.target_of(self.agent), self.target_of(self.mixer)
        self.returns, self.loss_factor = returns, loss_factor

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.predict(batch, block_rewards)
        td_loss = self.loss_factor * masked_mean(fit.td_error**2, fit.mask)
        total, penalty = self.monotonicity.penalised(
            td_loss, fit.mix(fit.utilities), fit.utilities, fit.mask, fit.mix, generator
        )
        with torch.no_grad():
            advantage = fit.duplex.importance * fit.duplex.advantage(fit.utilities, fit.best)
            metrics = {
                "td_loss": td_loss,
                "penalty": penalty,
                "q_tot": masked_mean(fit.values, fit.mask),
                "target": masked_mean(fit.targets, fit.mask),
                "td_error_abs": masked_mean(fit.td_error.abs(), fit.mask),
                "importance": masked_mean(fit.duplex.importance.mean(-1), fit.mask),
                "advantage": masked_mean(advantage.sum(-1), fit.mask),
            }
        return total, {name: value.detach() for name, value in metrics.items()}

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> DuplexTDFit:
        """Values Q_tot and targets y."""
        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        greedy = greedy_actions(all_utilities, batch.avail_actions)

        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
        best = taken_utilities(all_utilities[:, :-1], greedy[:, :-1]).detach()
        duplex = duplex_at(self.mixer, batch.state[:, :-1], batch.actions, batch.valid)

        with torch.no_grad():
            target_utilities = self.target_agent(batch.obs, batch.last_actions, batch.filled)
            next_utilities = taken_utilities(target_utilities, greedy)
            next_best = taken_utilities(target_utilities, greedy_actions(target_utilities, batch.avail_actions))
            target_duplex = duplex_at(self.target_mixer, batch.state, greedy, batch.filled)
            next_values = target_duplex.dueling_value(next_utilities, next_best).unsqueeze(-1)
            targets = self.returns(block_rewards.rewards, next_values, batch.terminated, batch.valid).squeeze(-1)
        return DuplexTDFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            best=best,
            duplex=duplex,
            values=duplex.trained_value(utilities, best),
            targets=targets,
            mask=block_rewards.learn_mask,
        )

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot of any joint actions. Block gradients are those of `trained_value`, whose slopes are w, without λ."""
        with torch.enable_grad():
            fit = self.predict(batch, self.reward(batch))
            errors = fit.td_error**2 * fit.mask
        utilities = fit.all_utilities.detach()
        weight, importance = fit.duplex.weight.detach(), fit.duplex.importance.detach()

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            duplex = duplex_at(self.mixer, batch.state[:, :-1], actions, batch.valid)
            return duplex.dueling_value(taken_utilities(utilities, actions), fit.best)

        return JointValueView(
            utilities=utilities,
            joint_value=joint_value,
            slopes=lambda: (weight * importance).unsqueeze(-2),
            reads=torch.ones_like(utilities[0, :1, :, 0], dtype=torch.bool),
            block_gradients=lambda: gradient_norm(errors, fit.utilities),
        )


def duplex_at(
    mixer: DuplexMixer, state: Float[Tensor, "B T S"], actions: Int[Tensor, "B T N"], exists: Bool[Tensor, "B T"]
) -> Duplex:
    """w, v and λ at the time steps that exist; zero elsewhere, where nothing is computed."""
    return Duplex(*(scatter_valid(rows, exists) for rows in mixer(*gather_valid(exists, state, actions))))
