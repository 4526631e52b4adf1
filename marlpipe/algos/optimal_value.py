"""Q*: the unrestricted value of joint actions that is learned beside a factored one, with its target.

    Q*(s, u) = f(Q*_1(u_1), …, Q*_N(u_N), s)

The utilities Q*_i are those of agents of its own, and f is not restricted (Rashid et al. 2020, §4).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.algos.blocks import Fit, greedy_blocks, mixed
from marlpipe.algos.projections.context import Projection, ProjectionContext
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class JointValues:
    """One network's values of any joint actions in the episodes of a batch."""

    batch: EpisodeBatch
    utilities: Float[Tensor, "B T1 N A"]
    mixer: nn.Module

    def of(self, actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        """Q*(s_t, u_t), of every step that was made."""
        return mixed(
            self.mixer, taken_utilities(self.utilities[:, :-1], actions), self.batch.state[:, :-1], self.batch.valid
        )

    @torch.no_grad()
    def total(self, actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
        """The same, added up over blocks, without gradient."""
        return self.of(actions).sum(-1)

    def at_all_moments(self, actions: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 J"]:
        """Q*(s_t, u_t) also at the moment after the last step, from which returns are bootstrapped."""
        return mixed(self.mixer, taken_utilities(self.utilities, actions), self.batch.state, self.batch.filled)


class OptimalValue(nn.Module):
    """Agents and mixer of Q*, and their targets."""

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        self.agent = agent(spec=spec)
        self.mixer = mixer(spec=spec, partition=partition)
        self.target_agent = copy.deepcopy(self.agent).requires_grad_(False)
        self.target_mixer = copy.deepcopy(self.mixer).requires_grad_(False)

    def forward(self, batch: EpisodeBatch) -> JointValues:
        """Q* in these episodes."""
        utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        return JointValues(batch=batch, utilities=utilities, mixer=self.mixer)

    @torch.no_grad()
    def target(self, batch: EpisodeBatch) -> JointValues:
        """The target of Q* in these episodes."""
        utilities = self.target_agent(batch.obs, batch.last_actions, batch.filled)
        return JointValues(batch=batch, utilities=utilities, mixer=self.target_mixer)

    @torch.no_grad()
    def sync_target(self) -> None:
        """Hard copy."""
        self.target_agent.load_state_dict(self.agent.state_dict())
        self.target_mixer.load_state_dict(self.mixer.state_dict())


def weighted_fit(
    batch: EpisodeBatch,
    paid: BlockRewards,
    all_utilities: Float[Tensor, "B T1 N A"],
    greedy: Int[Tensor, "B T1 N"],
    *,
    mixer: Mixer,
    target: JointValues,
    projection: Projection,
    returns: Callable[..., Tensor],
    partition: Float[Tensor, "J N"],
) -> Fit:
    """Q_tot of the actions taken, with y and w. all_utilities: what is mixed. greedy: û. target: Q*′."""
    state = batch.state[:, :-1]
    utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
    values = mixed(mixer, utilities, state, batch.valid)
    with torch.no_grad():
        of_greedy = target.at_all_moments(greedy)
        context = ProjectionContext(
            values=values.detach(),
            targets=returns(paid.rewards, of_greedy, batch.terminated, batch.valid),
            valid=paid.trusted,
            is_greedy=greedy_blocks(greedy[:, :-1] == batch.actions, partition),
            utilities=all_utilities[:, :-1].detach(),
            avail_actions=batch.avail_actions[:, :-1],
            actions=batch.actions,
            reads=mixer.reads,
            slopes=lambda: mixer.slopes(utilities.detach(), state),
            greedy_optimal_values=of_greedy[:, :-1],
            optimal_values=lambda: target.of(batch.actions),
        )
        weights = projection(context)
    return Fit(values=values, utilities=utilities, context=context, weights=weights)
