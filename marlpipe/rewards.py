"""From what a world pays to what each block of the partition learns from."""

from jaxtyping import Float
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.types import EnvSpec


class TeamReward:
    """Every block learns from the sum over all agents."""

    def __init__(self, spec: EnvSpec, partition: Float[Tensor, "J N"]) -> None:
        del spec
        self.blocks = len(partition)

    def __call__(self, rewards: Float[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        return rewards.sum(-1, keepdim=True).expand(*rewards.shape[:2], self.blocks)


class LocalReward:
    """A block learns from the sum over its own agents, Σ_{i∈J} r_i. UserError if the world has a team reward only."""

    def __init__(self, spec: EnvSpec, partition: Float[Tensor, "J N"]) -> None:
        if not spec.local_rewards:
            raise UserError(
                "reward=local needs a world that pays each agent, and this one has a team reward only.\n"
                "  valid: reward=team, or an env that pays each agent (its spec says `local_rewards`)"
            )
        self.partition = partition

    def __call__(self, rewards: Float[Tensor, "B T N"]) -> Float[Tensor, "B T J"]:
        return rewards @ self.partition.T.to(rewards)
