"""Q*: the unrestricted value of joint actions that is learned in addition to a factored one, with its target.

    Q*(s, u) = f(Q*_1(u_1), …, Q*_N(u_N), s)

The utilities Q*_i are those of agents of its own, and f is not restricted (Rashid et al. 2020, §4).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.algos.blocks import TDFit, greedy_blocks, mix_valid
from marlpipe.algos.parts import MakesValue, Parts, Returns
from marlpipe.algos.projections.context import Projection, ProjectionContext
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.algos.target_networks import WithTargets
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import taken_utilities
from marlpipe.types import EpisodeBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class JointValues:
    """One network's values of any joint actions in the episodes of a batch."""

    batch: EpisodeBatch
    utilities: Float[Tensor, "B T1 N A"]
    mixer: nn.Module

    def of(self, actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        """Q*(s_t, u_t) at every transition."""
        return mix_valid(
            self.mixer, taken_utilities(self.utilities[:, :-1], actions), self.batch.state[:, :-1], self.batch.valid
        )

    @torch.no_grad()
    def total(self, actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
        """The same, summed over blocks, without gradient."""
        return self.of(actions).sum(-1)

    def at_all_steps(self, actions: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 J"]:
        """Q*(s_t, u_t) also at the time step after the last transition, from which returns are bootstrapped."""
        return mix_valid(self.mixer, taken_utilities(self.utilities, actions), self.batch.state, self.batch.filled)


class OptimalValue(WithTargets):
    """Agents and mixer of Q*, and their targets."""

    def __init__(self, parts: Parts, mixer: MakesValue) -> None:
        super().__init__()
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = mixer(spec=parts.spec, partition=parts.partition)
        self.target_agent, self.target_mixer = self.target_of(self.agent), self.target_of(self.mixer)

    def forward(self, batch: EpisodeBatch) -> JointValues:
        """Q* in these episodes."""
        utilities = self.agent(batch.obs, batch.last_actions, batch.filled)
        return JointValues(batch=batch, utilities=utilities, mixer=self.mixer)

    @torch.no_grad()
    def target(self, batch: EpisodeBatch) -> JointValues:
        """The target of Q* in these episodes."""
        utilities = self.target_agent(batch.obs, batch.last_actions, batch.filled)
        return JointValues(batch=batch, utilities=utilities, mixer=self.target_mixer)


def project_optimal_value(
    batch: EpisodeBatch,
    block_rewards: BlockRewards,
    all_utilities: Float[Tensor, "B T1 N A"],
    greedy: Int[Tensor, "B T1 N"],
    *,
    mixer: Mixer,
    target: JointValues,
    projection: Projection,
    returns: Returns,
    partition: Float[Tensor, "J N"],
) -> TDFit:
    """Q_tot of the taken actions, with targets y and weights w.

    all_utilities: what is mixed. greedy: û. target: Q*′.
    """
    state = batch.state[:, :-1]
    utilities = taken_utilities(all_utilities[:, :-1], batch.actions)
    values = mix_valid(mixer, utilities, state, batch.valid)

    @torch.no_grad()
    def slopes() -> Float[Tensor, "B T J N"]:
        return mixer.slopes(utilities.detach(), state)

    with torch.no_grad():
        of_greedy = target.at_all_steps(greedy)
        targets = returns(block_rewards.rewards, of_greedy, batch.terminated, batch.valid)
        weights = projection(
            values.detach(),
            lambda: ProjectionContext(
                values=values.detach(),
                targets=targets,
                mask=block_rewards.learn_mask,
                is_greedy=greedy_blocks(greedy[:, :-1] == batch.actions, partition),
                utilities=all_utilities[:, :-1].detach(),
                avail_actions=batch.avail_actions[:, :-1],
                actions=batch.actions,
                reads=mixer.reads,
                slopes=slopes,
                greedy_optimal_values=of_greedy[:, :-1],
                optimal_values=lambda: target.of(batch.actions),
            ),
        )
    return TDFit(
        all_utilities=all_utilities[:, :-1],
        utilities=utilities,
        values=values,
        targets=targets,
        weights=weights,
        mask=block_rewards.learn_mask,
        mix=lambda given: mix_valid(mixer, given, state, batch.valid),
        slopes=slopes,
    )
