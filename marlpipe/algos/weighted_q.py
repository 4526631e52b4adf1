"""Weighted projection of an unrestricted Q* onto monotonic functions: CW-QMIX, OW-QMIX and QPro.

    y = returns of Q*′(s′, û),  L = mean[ w (Q_tot − y)² ] + c · mean[ (Q*(s, u) − y)² ],  û greedy by the utilities

(Rashid et al. 2020, §4; Mei, Zhou, Lan 2024, Algorithm 1. They differ in the weights w, the `projection`.)
"""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.agents.agent import Agent
from marlpipe.agents.inputs import last_actions
from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import Fit, block_loss, fit_metrics, greedy_blocks, mixed
from marlpipe.factorisation import Factorisation
from marlpipe.mixers.mixer import Mixer
from marlpipe.monotonicity.method import Monotonicity
from marlpipe.projections.context import Projection, ProjectionContext
from marlpipe.rewards import BlockRewards, Reward
from marlpipe.targets import chosen, greedy_actions
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics


class WeightedQ(OneLoss):
    """Agents and mixer of the projection, and the central agents and mixer of Q* with their targets.

    central_mixer: the unrestricted mixer. central_loss_factor: c above. loss_factor: factor of the weighted error.
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
        self.central_agent = agent(spec=spec)
        self.central_mixer = central_mixer(spec=spec, partition=partition)
        self.target_central_agent = copy.deepcopy(self.central_agent).requires_grad_(False)
        self.target_central_mixer = copy.deepcopy(self.central_mixer).requires_grad_(False)
        self.monotonicity, self.projection, self.reward, self.returns = monotonicity, projection, reward, returns
        self.loss_factor, self.central_loss_factor, self.reduction = loss_factor, central_loss_factor, reduction
        self.register_buffer("partition", partition, persistent=False)

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit, central_error = self.fit(batch, paid)
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

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Fit, Float[Tensor, "B T J"]]:
        """Values Q_tot, targets y and weights w; and Q*(s, u) − y."""
        acted = last_actions(batch.actions, batch.avail_actions.shape[-1])
        state, next_state = batch.state[:, :-1], batch.state

        all_utilities = self.agent(batch.obs, acted, batch.filled)
        utilities = chosen(all_utilities[:, :-1], batch.actions)
        values = mixed(self.mixer, utilities, state, batch.valid)

        central_utilities = self.central_agent(batch.obs, acted, batch.filled)
        central_taken = chosen(central_utilities[:, :-1], batch.actions)
        optimal_values = mixed(self.central_mixer, central_taken, state, batch.valid)

        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            target_utilities = self.target_central_agent(batch.obs, acted, batch.filled)
            target_greedy = chosen(target_utilities, greedy)
            greedy_optimal_values = mixed(self.target_central_mixer, target_greedy, next_state, batch.filled)
            targets = self.returns(paid.rewards, greedy_optimal_values, batch.terminated, batch.valid)
            target_taken = chosen(target_utilities[:, :-1], batch.actions)
            context = ProjectionContext(
                values=values.detach(),
                targets=targets,
                valid=paid.trusted,
                is_greedy=greedy_blocks(greedy[:, :-1] == batch.actions, self.partition),
                utilities=all_utilities[:, :-1].detach(),
                avail_actions=batch.avail_actions[:, :-1],
                actions=batch.actions,
                reads=self.mixer.reads,
                slopes=lambda: self.mixer.slopes(utilities.detach(), state),
                greedy_optimal_values=greedy_optimal_values[:, :-1],
                optimal_values=lambda: mixed(self.target_central_mixer, target_taken, state, batch.valid),
            )
            weights = self.projection(context)
        return Fit(values=values, utilities=utilities, context=context, weights=weights), optimal_values - targets

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions, and Q* beside it."""
        fit, _ = self.fit(batch, self.reward(batch))
        acted = last_actions(batch.actions, batch.avail_actions.shape[-1])
        central_utilities = self.central_agent(batch.obs, acted, batch.filled)[:, :-1]
        state = batch.state[:, :-1]
        return Factorisation(
            utilities=fit.context.utilities,
            joint_value=lambda actions: mixed(
                self.mixer, chosen(fit.context.utilities, actions), state, batch.valid
            ).sum(-1),
            slopes=fit.context.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=lambda actions: mixed(
                self.central_mixer, chosen(central_utilities, actions), state, batch.valid
            ).sum(-1),
        )

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.target_central_agent.load_state_dict(self.central_agent.state_dict())
        self.target_central_mixer.load_state_dict(self.central_mixer.state_dict())

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
