"""The networks of r_I: one per cardinality |I|, for all sets of that size at once (LOMAQ Table 2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.decomposition.sets import Sets


def set_network(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear, LeakyReLU, Linear, Tanh, Linear: 64, 128 and 64 units (LOMAQ Table 2)."""
    return nn.Sequential(
        *(nn.Linear(inputs, 64), nn.ReLU()),
        *(nn.Linear(64, 128), nn.LeakyReLU(0.01)),
        *(nn.Linear(128, 64), nn.Tanh()),
        nn.Linear(64, outputs),
    )


class SetNetworks(nn.Module):
    """A network for each size of sets. Its input is what a set's members see, side by side in ascending order.

    inputs: numbers that an agent sees. outputs: of the network of a size.
    """

    def __init__(self, *, sets: Sets, inputs: int, outputs: Callable[[int], int]) -> None:
        super().__init__()
        self.sizes = sorted({len(members) for members in sets})
        self.networks = nn.ModuleList(set_network(size * inputs, outputs(size)) for size in self.sizes)
        for size in self.sizes:
            of_size = torch.tensor([members for members in sets if len(members) == size])  # (I,K)
            self.register_buffer(f"members_{size}", of_size, persistent=False)

    def forward(self, seen: Float[Tensor, "V N F"]) -> list[Float[Tensor, "V _ _"]]:
        """The outputs (V,I,·) of each size, for V moments."""
        return [
            network(seen[:, self.get_buffer(f"members_{size}")].flatten(2))
            for size, network in zip(self.sizes, self.networks, strict=True)
        ]
