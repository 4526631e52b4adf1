"""Gated recurrent units of agents, one for all or one for each (Cho et al. 2014, in the variant of torch.nn.GRU).

    r = σ(x_r + h_r),  z = σ(x_z + h_z),  n = tanh(x_n + r h_n),  h′ = n + z (h − n)

where x_… and h_… are affine maps of the input and of the memory. Sequences are packed step by step, the longest
first: `counts[t]` of them exist at time step t, and the first `counts[t+1]` of those continue.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from marlpipe.models.layers import GroupedLinear


@runtime_checkable
class Recurrence(Protocol):
    """The recurrent layer: features and memory -> the next memory."""

    def __call__(self, features: Float[Tensor, "V N H"], memory: Float[Tensor, "V N H"]) -> Float[Tensor, "V N H"]:
        """After one time step."""

    def unroll(self, features: Float[Tensor, "V N H"], counts: Sequence[int]) -> Float[Tensor, "V N H"]:
        """After each time step of packed sequences, from a memory of zeros; no work on what does not exist."""


class SharedGRU(nn.Module):
    """One unit for all agents. gru: torch.nn.GRU, or another class with its interface and its parameters."""

    def __init__(self, *, gru: Callable[[int, int], nn.GRU], hidden: int) -> None:
        super().__init__()
        self.gru = gru(hidden, hidden)

    def forward(self, features: Float[Tensor, "V N H"], memory: Float[Tensor, "V N H"]) -> Float[Tensor, "V N H"]:
        rows: Tensor = torch.gru_cell(features.flatten(0, 1), memory.flatten(0, 1), *self.gru.all_weights[0])
        return rows.view_as(memory)

    def unroll(self, features: Float[Tensor, "V N H"], counts: Sequence[int]) -> Float[Tensor, "V N H"]:
        agents = features.shape[1]
        outputs: PackedSequence = self.gru(PackedSequence(features.flatten(0, 1), torch.tensor(counts) * agents))[0]
        return outputs.data.view_as(features)


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

    def unroll(self, features: Float[Tensor, "V N H"], counts: Sequence[int]) -> Float[Tensor, "V N H"]:
        memory = torch.zeros_like(features[: counts[0]])
        memories = []
        for step in torch.split(features, list(counts)):
            memory = self(step, memory[: len(step)])
            memories.append(memory)
        return torch.cat(memories)
