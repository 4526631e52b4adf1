"""Q-learning of a factorised value: IQL, VDN, QMIX and LOMAQ are this loss with different parts.

    L = Σ_J mean[ w_J (F_J(U) − y_J)² ] + penalty,    y_J = r_J + γ (1 − terminated) F_J′(U′(û))

(QMIX: Rashid et al. 2018, eq. 6; LOMAQ: Zohar et al. 2022, Algorithms 2 and 3.)
"""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import Fit, block_loss, fit_metrics, greedy_blocks, mixed
from marlpipe.algos.projections.context import Projection, ProjectionContext
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import greedy_actions, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


class FactorisedQ(OneLoss):
    """Online and target agents and mixers, and their loss.

    returns: makes targets of rewards and next values. next_actions: the joint actions û that are bootstrapped from, of
    online and target utilities and the episodes (both of `targets.py`). loss_factor: factor of the squared error.
    reduction: `sum` over blocks, or their `mean` (independent learners).
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
        next_actions: Callable[[Tensor, Tensor, EpisodeBatch], Tensor],
        loss_factor: float,
        reduction: Literal["sum", "mean"],
    ) -> None:
        super().__init__()
        if projection.needs_optimal_values:
            raise UserError(
                f"projection weights {type(projection).__name__} compare with the unrestricted Q*, which this "
                "algorithm does not learn.\n  valid: projection=uniform or optimistic, or algo=qpro, ow_qmix, cw_qmix"
            )
        self.agent = agent(spec=spec)
        self.mixer = mixer(spec=spec, partition=partition, monotonicity=monotonicity)
        self.target_agent = copy.deepcopy(self.agent).requires_grad_(False)
        self.target_mixer = copy.deepcopy(self.mixer).requires_grad_(False)
        self.monotonicity, self.projection, self.reward, self.returns = monotonicity, projection, reward, returns
        self.next_actions, self.loss_factor, self.reduction = next_actions, loss_factor, reduction
        self.register_buffer("partition", partition, persistent=False)

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        fit = self.fit(batch, paid)
        td_loss = self.loss_factor * block_loss(fit.weights * fit.td_error**2, paid.trusted, self.reduction)
        penalty = self.monotonicity.penalty(
            fit.values, fit.utilities, paid.trusted, lambda u: mixed(self.mixer, u, batch.state[:, :-1], batch.valid)
        )
        total = self.monotonicity.penalty.loss_share * td_loss + penalty
        return total, {"td_loss": td_loss.detach(), "penalty": penalty.detach(), **fit_metrics(fit)}

    def fit(self, batch: EpisodeBatch, paid: BlockRewards) -> Fit:
        """Values F_J(U), targets y_J and weights w_J."""
        state, next_state = batch.state[:, :-1], batch.state

        all_utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
        values = mixed(self.mixer, utilities, state, batch.valid)

        with torch.no_grad():
            target_utilities = self.target_agent(batch.obs, batch.last_actions, batch.filled)
            next_utilities = taken_utilities(
                target_utilities, self.next_actions(all_utilities, target_utilities, batch)
            )
            next_values = mixed(self.target_mixer, next_utilities, next_state, batch.filled)
            targets = self.returns(paid.rewards, next_values, batch.terminated, batch.valid)
            greedy = greedy_actions(all_utilities, batch.avail_actions)[:, :-1]
            context = ProjectionContext(
                values=values.detach(),
                targets=targets,
                valid=paid.trusted,
                is_greedy=greedy_blocks(greedy == batch.actions, self.partition),
                utilities=all_utilities[:, :-1].detach(),
                avail_actions=batch.avail_actions[:, :-1],
                actions=batch.actions,
                reads=self.mixer.reads,
                slopes=lambda: self.mixer.slopes(utilities.detach(), state),
            )
            weights = self.projection(context)
        return Fit(values=values, utilities=utilities, context=context, weights=weights)

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot = Σ_J F_J of any joint actions."""
        fit = self.fit(batch, self.reward(batch))
        return Factorisation(
            utilities=fit.context.utilities,
            joint_value=lambda actions: mixed(
                self.mixer, taken_utilities(fit.context.utilities, actions), batch.state[:, :-1], batch.valid
            ).sum(-1),
            slopes=fit.context.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
        )

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.target_agent.load_state_dict(self.agent.state_dict())
        self.target_mixer.load_state_dict(self.mixer.state_dict())

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
