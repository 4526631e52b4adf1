"""QPLEX: Q-learning of a duplex dueling value (Wang et al. 2021).

    L = mean[ (Q_tot(s, u) − y)² ] + penalty,    y = returns of Q_tot′(s′, û),  û greedy by the utilities

(Mixing: `marlpipe.models.mixers.duplex`.)
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
from marlpipe.models.mixers.duplex import Duplex, DuplexMixer
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.mixers.own import OwnMixing, check_own
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import greedy_actions, masked_mean, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


@dataclass(frozen=True, kw_only=True, eq=False)
class DuplexFit:
    """Values of the taken actions and what they are drawn to. `best`: each agent's highest available utility."""

    all_utilities: Float[Tensor, "B T N A"]
    utilities: Float[Tensor, "B T N"]
    best: Float[Tensor, "B T N"]
    duplex: Duplex
    values: Float[Tensor, "B T"]
    targets: Float[Tensor, "B T"]

    @property
    def td_error(self) -> Float[Tensor, "B T"]:
        return self.values - self.targets


class QPLEX(OneLoss):
    """Online and target agents and duplex mixers, and their loss.

    returns: makes targets of rewards and next values (`targets.py`). loss_factor: factor of the squared error.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: Callable[..., Mixer] | OwnMixing,
        monotonicity: Monotonicity,
        projection: Projection,
        reward: Reward,
        returns: Callable[..., Tensor],
        duplex: Callable[..., DuplexMixer],
        loss_factor: float,
    ) -> None:
        super().__init__()
        check_one_block(partition, "QPLEX")
        check_own(mixer, "QPLEX")
        check_unweighted(projection, "QPLEX")
        self.agent = agent(spec=spec)
        self.mixer = duplex(spec=spec, monotonicity=monotonicity)
        self.target_agent = copy.deepcopy(self.agent).requires_grad_(False)
        self.target_mixer = copy.deepcopy(self.mixer).requires_grad_(False)
        self.monotonicity, self.reward, self.returns = monotonicity, reward, returns
        self.loss_factor = loss_factor

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.fit(batch, paid)

        def mix(utilities: Float[Tensor, "B T N"]) -> Float[Tensor, "B T 1"]:
            return fit.duplex.dueling_value(utilities, fit.best).unsqueeze(-1)

        td_loss = self.loss_factor * masked_mean(fit.td_error**2, paid.trusted)
        penalty = self.monotonicity.penalty(mix(fit.utilities), fit.utilities, paid.trusted, mix)
        total = self.monotonicity.penalty.loss_share * td_loss + penalty
        with torch.no_grad():
            advantage = fit.duplex.importance * fit.duplex.advantage(fit.utilities, fit.best)
            metrics = {
                "td_loss": td_loss,
                "penalty": penalty,
                "q_tot": masked_mean(fit.values, paid.trusted),
                "target": masked_mean(fit.targets, paid.trusted),
                "td_error_abs": masked_mean(fit.td_error.abs(), paid.trusted),
                "importance": masked_mean(fit.duplex.importance.mean(-1), paid.trusted),
                "advantage": masked_mean(advantage.sum(-1), paid.trusted),
            }
        return total, {name: value.detach() for name, value in metrics.items()}

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> DuplexFit:
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
            targets = self.returns(paid.rewards, next_values, batch.terminated, batch.valid).squeeze(-1)
        return DuplexFit(
            all_utilities=all_utilities[:, :-1],
            utilities=utilities,
            best=best,
            duplex=duplex,
            values=duplex.trained_value(utilities, best),
            targets=targets,
        )

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions. The utilities' gradient has the slope w, without λ."""
        paid = self.reward(batch)
        fit, state = self.fit(batch, paid), batch.state[:, :-1]
        pull = (fit.td_error * paid.trusted).unsqueeze(-1) * fit.duplex.weight

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            duplex = duplex_at(self.mixer, state, actions, batch.valid)
            return duplex.dueling_value(taken_utilities(fit.all_utilities, actions), fit.best)

        return Factorisation(
            utilities=fit.all_utilities,
            joint_value=joint_value,
            slopes=lambda: (fit.duplex.weight * fit.duplex.importance).unsqueeze(-2),
            reads=torch.ones_like(fit.utilities[0, :1], dtype=torch.bool),
            block_gradients=lambda: pull.norm().unsqueeze(0),
        )

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.target_agent.load_state_dict(self.agent.state_dict())
        self.target_mixer.load_state_dict(self.mixer.state_dict())


def duplex_at(
    mixer: DuplexMixer, state: Float[Tensor, "B T S"], actions: Int[Tensor, "B T N"], exists: Bool[Tensor, "B T"]
) -> Duplex:
    """w, v and λ at the moments that exist; zero elsewhere, where nothing is computed."""
    found = mixer(state[exists], actions[exists])  # (V,N) each
    return Duplex(*(of_agents.new_zeros(actions.shape).index_put((exists,), of_agents) for of_agents in found))
