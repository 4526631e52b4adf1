"""Maps environment rewards to the reward each block is trained on."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import Hops, UserError
from marlpipe.models.graphs import neighbourhoods
from marlpipe.types import EnvSpec, EpisodeBatch, Trained, TrainingBatch, Update


class BlockRewards(NamedTuple):
    """The reward of each block, and the time steps to learn from: a learned reward is not accurate at all of them."""

    rewards: Float[Tensor, "B T J"]
    learn_mask: Bool[Tensor, "B T"]  # False wherever the episodes are not valid


class Reward(nn.Module, ABC):
    """Rewards of blocks. A learned one has gradient steps and parameters of its own."""

    @abstractmethod
    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        """The block rewards of these episodes, without gradient."""

    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """Its gradient steps, before those of the values."""
        del batch, generator
        return iter(())

    def trained(self) -> dict[str, Trained]:
        """Its parameters, by the names that its updates use."""
        return {}


class TeamReward(Reward):
    """Every block learns from the sum over all agents."""

    def __init__(self, spec: EnvSpec, partition: Float[Tensor, "J N"]) -> None:
        super().__init__()
        del spec
        self.blocks = len(partition)

    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        return BlockRewards(batch.team_rewards.unsqueeze(-1).expand(-1, -1, self.blocks), batch.valid)


class LocalReward(Reward):
    """A block learns from the sum over its own agents, Σ_{i∈J} r̃_i. UserError if there is a team reward only.

    Each agent's reward may first be split evenly among the agents within d = `smoothing_hops` of it, itself among them:
    r̃_i = Σ_{j∈N_d(i)} r_j / |N_d(j)|, which conserves the sum (LOMAQ's public code); d = 0: r̃ = r.
    """

    shares: Float[Tensor, "J N"]

    def __init__(self, spec: EnvSpec, partition: Float[Tensor, "J N"], *, smoothing_hops: Hops) -> None:
        super().__init__()
        if not spec.local_rewards:
            raise UserError(
                "reward=local needs an environment with a reward per agent, and this one has a team reward only.\n"
                "  valid: reward=team, or an env with a reward per agent (its spec has `local_rewards` true)"
            )
        if smoothing_hops < 0:
            raise UserError(
                f"reward.smoothing_hops={smoothing_hops} is no distance.\n  valid: 0 for none, or 1, 2, … hops"
            )
        near = neighbourhoods(spec.graph, smoothing_hops).float()
        self.register_buffer("shares", partition @ (near / near.sum(0)), persistent=False)

    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        return BlockRewards(batch.rewards @ self.shares.T.to(batch.rewards), batch.valid)
