"""What all learned rewards of sets are."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.decomposition.networks import SetNetworks
from marlpipe.decomposition.sets import Sets
from marlpipe.errors import UserError
from marlpipe.types import EnvSpec


class Terms(NamedTuple):
    """What a loss is made of, for each of V steps."""

    misfit: Float[Tensor, " V"]  # between Σ_I r_I and what the team was paid
    magnitudes: Float[Tensor, "V I"]  # of r_I, to be kept small


class SetRewards(nn.Module, ABC):
    """Rewards r_I of sets of agents, from their members' observations alone: neither actions nor indices (D14).

    features: indices of the numbers that count in an observation, None for all of them.
    outputs: how many numbers the network of sets of a size brings forth.
    """

    def __init__(
        self, *, spec: EnvSpec, sets: Sets, features: Sequence[int] | None, outputs: Callable[[int], int]
    ) -> None:
        super().__init__()
        self.features = list(range(spec.obs_dim)) if features is None else list(features)
        if not self.features or not set(self.features) <= set(range(spec.obs_dim)):
            raise UserError(
                f"reward.model.features={self.features} is not possible: an observation has {spec.obs_dim} numbers.\n"
                f"  valid: a list of indices from 0 to {spec.obs_dim - 1}, or null for all of them"
            )
        self.networks = SetNetworks(sets=sets, inputs=len(self.features), outputs=outputs)

    @abstractmethod
    def forward(self, obs: Float[Tensor, "V N O"]) -> Float[Tensor, "V I"]:
        """r_I of every set, at V moments."""

    @abstractmethod
    def terms(self, obs: Float[Tensor, "V N O"], team_rewards: Float[Tensor, " V"]) -> Terms:
        """What its loss is made of."""
