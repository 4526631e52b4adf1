"""Gated recurrent units over ragged sequences (Cho et al. 2014, in the variant of torch.nn.GRU).

    r = σ(x_r + h_r),  z = σ(x_z + h_z),  n = tanh(x_n + r h_n),  h′ = n + z (h − n)

where x_… and h_… are affine maps of the input and of the memory. Sequences are packed moment by moment, the longest
first: `counts[t]` of them exist at moment t, and the first `counts[t+1]` of those go on to the next one.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.layers import GroupedLinear


@runtime_checkable
class Cell(Protocol):
    """One moment: memory from features and memory."""

    def __call__(self, features: Float[Tensor, "V N H"], memory: Float[Tensor, "V N H"]) -> Float[Tensor, "V N H"]: ...


def unroll(cell: Cell, features: Float[Tensor, "V N H"], counts: Sequence[int]) -> Float[Tensor, "V N H"]:
    """The memory after each moment of packed sequences, from a memory of zeros; no work on what does not exist."""
    memory = torch.zeros_like(features[: counts[0]])
    moments = []
    for moment in torch.split(features, list(counts)):
        memory = cell(moment, memory[: len(moment)])
        moments.append(memory)
    return torch.cat(moments)


class SharedGRU(nn.Module):
    """One unit for all agents."""

    def __init__(self, *, hidden: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(hidden, hidden)

    def forward(self, features: Float[Tensor, "V N H"], memory: Float[Tensor, "V N H"]) -> Float[Tensor, "V N H"]:
        rows: Tensor = self.cell(features.flatten(0, 1), memory.flatten(0, 1))
        return rows.view_as(memory)


class IndependentGRU(nn.Module):
    """A unit of its own for each agent; the N units run as batched products."""

    def __init__(self, *, n_agents: int, hidden: int) -> None:
        super().__init__()
        self.of_input = GroupedLinear(groups=n_agents, in_features=hidden, out_features=3 * hidden)
        self.of_memory = GroupedLinear(groups=n_agents, in_features=hidden, out_features=3 * hidden)

    def forward(self, features: Float[Tensor, "V N H"], memory: Float[Tensor, "V N H"]) -> Float[Tensor, "V N H"]:
        x_r, x_z, x_n = self.of_input(features).chunk(3, dim=-1)
        h_r, h_z, h_n = self.of_memory(memory).chunk(3, dim=-1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        return n + z * (memory - n)
