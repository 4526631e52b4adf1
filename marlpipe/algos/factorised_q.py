"""Q-learning of a factorised value: IQL, VDN, QMIX and LOMAQ are this loss with different parts.

    L = Σ_J mean[ w_J (F_J(U) − y_J)² ] + penalty,    y_J = r_J + γ (1 − terminated) F_J′(U′(û))

(QMIX: Rashid et al. 2018, eq. 6; LOMAQ: Zohar et al. 2022, Algorithms 2 and 3.)
"""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.agents.agent import Agent
from marlpipe.agents.inputs import last_actions
from marlpipe.algos.blocks import block_loss, greedy_blocks, mixed, weight_metrics
from marlpipe.errors import UserError
from marlpipe.mixers.mixer import Mixer
from marlpipe.monotonicity.method import Monotonicity
from marlpipe.projections.context import Projection, ProjectionContext
from marlpipe.targets import chosen, greedy_actions
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics


class FactorisedQ(nn.Module):
    """Online and target agents and mixers, and their loss.

    returns: makes targets of rewards and next values (`marlpipe.targets`). loss_factor: factor of the squared error.
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
        reward: Callable[[Tensor], Tensor],
        returns: Callable[..., Tensor],
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
        self.loss_factor, self.reduction = loss_factor, reduction
        self.register_buffer("partition", partition, persistent=False)

    def loss(self, batch: EpisodeBatch) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        acted = last_actions(batch.actions, batch.avail_actions.shape[-1])
        state, next_state = batch.state[:, :-1], batch.state

        all_utilities = self.agent(batch.obs, acted, batch.filled)
        utilities = chosen(all_utilities[:, :-1], batch.actions)
        values = mixed(self.mixer, utilities, state, batch.valid)

        with torch.no_grad():
            greedy = greedy_actions(all_utilities, batch.avail_actions)
            next_utilities = chosen(self.target_agent(batch.obs, acted, batch.filled), greedy)
            next_values = mixed(self.target_mixer, next_utilities, next_state, batch.filled)
            targets = self.returns(self.reward(batch.rewards), next_values, batch.terminated, batch.valid)
            weights = self.projection(
                ProjectionContext(
                    values=values.detach(),
                    targets=targets,
                    valid=batch.valid,
                    is_greedy=greedy_blocks(greedy[:, :-1] == batch.actions, self.partition),
                    utilities=all_utilities[:, :-1].detach(),
                    avail_actions=batch.avail_actions[:, :-1],
                    actions=batch.actions,
                    reads=self.mixer.reads,
                    slopes=lambda: self.mixer.slopes(utilities.detach(), state),
                )
            )

        td_error = values - targets
        td_loss = self.loss_factor * block_loss(weights * td_error**2, batch.valid, self.reduction)
        penalty = self.monotonicity.penalty(values, utilities, batch.valid)
        total = self.monotonicity.penalty.loss_share * td_loss + penalty
        metrics = {
            "td_loss": td_loss.detach(),
            "penalty": penalty.detach(),
            **weight_metrics(weights, values.detach(), targets, batch.valid),
        }
        return total, metrics

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.target_agent.load_state_dict(self.agent.state_dict())
        self.target_mixer.load_state_dict(self.mixer.state_dict())

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
