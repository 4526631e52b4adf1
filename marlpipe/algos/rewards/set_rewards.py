"""Interface of all learned rewards of sets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.algos.rewards.sets import Sets
from marlpipe.errors import UserError
from marlpipe.models.layers import perceptron
from marlpipe.types import EnvSpec


def set_network(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear, LeakyReLU, Linear, Tanh, Linear: 64, 128 and 64 units (LOMAQ Table 2)."""
    return perceptron(inputs, 64, 128, 64, outputs, activations=[nn.ReLU(), nn.LeakyReLU(0.01), nn.Tanh()])


class SetNetworks(nn.Module):
    """A network for each size of sets. Its input is the observations of a set's members, in ascending order.

    inputs: numbers of an observation. outputs: of the network of a size.
    """

    def __init__(self, *, sets: Sets, inputs: int, outputs: Callable[[int], int]) -> None:
        super().__init__()
        self.sizes = sorted({len(members) for members in sets})
        self.networks = nn.ModuleList(set_network(size * inputs, outputs(size)) for size in self.sizes)
        for size in self.sizes:
            of_size = torch.tensor([members for members in sets if len(members) == size])  # (I,K)
            self.register_buffer(f"members_{size}", of_size, persistent=False)

    def forward(self, seen: Float[Tensor, "V N F"]) -> list[Float[Tensor, "V _ _"]]:
        """The outputs (V,I,·) of each size, at V time steps."""
        return [
            network(seen[:, self.get_buffer(f"members_{size}")].flatten(2))
            for size, network in zip(self.sizes, self.networks, strict=True)
        ]


class Terms(NamedTuple):
    """The two terms of the loss, at each of V time steps."""

    misfit: Float[Tensor, " V"]  # between Σ_I r_I and the team reward
    magnitudes: Float[Tensor, "V I"]  # of r_I, which the regulariser makes small


class SetRewards(nn.Module, ABC):
    """Rewards r_I of sets of agents, from their members' observations alone: neither actions nor indices.

    features: indices of the numbers that count in an observation, None for all of them.
    outputs: how many numbers the network of sets of a size has.
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
        """r_I of every set, at V time steps."""

    @abstractmethod
    def terms(self, obs: Float[Tensor, "V N O"], team_rewards: Float[Tensor, " V"]) -> Terms:
        """The terms of its loss."""
