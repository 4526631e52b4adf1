"""Lower bounds for the update of a recurrent agent, and plain implementations of it.

`counts[t]` sequences exist at time step t, the longest first: those of the next time step are the first of these.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.measurement import Work
from benchmarks.tasks import UNITS


def matrix_products(counts: Sequence[int]) -> Work:
    """The products of input and memory alone: forward, a target's forward, and both gradients.

    29.5 GFLOP for 750 sequences of 200 time steps and 64 units.
    """
    rows, gates = torch.randn(counts[0], UNITS), torch.randn(counts[0], 3 * UNITS)
    weight = torch.randn(3 * UNITS, UNITS)
    made_rows, made_gates, made_weight = torch.empty_like(rows), torch.empty_like(gates), torch.empty_like(weight)

    def products() -> None:
        for count in counts:
            row, gate = rows[:count], gates[:count]
            for _ in range(2):  # of the input and of the memory
                torch.mm(row, weight.T, out=made_gates[:count])  # online
                torch.mm(row, weight.T, out=made_gates[:count])  # target
                torch.mm(gate, weight, out=made_rows[:count])  # gradient of the rows
                torch.mm(gate.T, row, out=made_weight)  # gradient of the weights

    return products


def acting_products(rows: int, obs_dim: int, n_actions: int, steps: int) -> Work:
    """The forward products of Linear, GRU and Linear for `rows` agents, `steps` time steps."""
    obs, features, gates = torch.randn(rows, obs_dim), torch.empty(rows, UNITS), torch.empty(rows, 3 * UNITS)
    utilities = torch.empty(rows, n_actions)
    of_obs, of_memory = torch.randn(obs_dim, UNITS), torch.randn(UNITS, 3 * UNITS)
    of_features = torch.randn(UNITS, n_actions)

    def products() -> None:
        for _ in range(steps):
            torch.mm(obs, of_obs, out=features)
            torch.mm(features, of_memory, out=gates)
            torch.mm(features, of_memory, out=gates)
            torch.mm(features, of_features, out=utilities)

    return products


def gru_loop(sequences: int, steps: int) -> Work:
    """A plain GRUCell over whole sequences: forward, backward, and a target's forward without graph."""
    online, target = nn.GRUCell(UNITS, UNITS), nn.GRUCell(UNITS, UNITS).requires_grad_(False)

    def unroll(cell: nn.Module, features: Tensor) -> Tensor:
        memory, memories = torch.zeros(sequences, UNITS), []
        for features_t in features.unbind():  # indexing instead would make the backward pass slow
            memory = cell(features_t, memory)
            memories.append(memory)
        return torch.stack(memories)

    return both_passes(online, target, unroll, sequences, steps)


def gru_sequence(sequences: int, steps: int) -> Work:
    """The same with torch's own GRU over whole sequences."""
    online, target = nn.GRU(UNITS, UNITS), nn.GRU(UNITS, UNITS).requires_grad_(False)
    return both_passes(online, target, lambda cell, features: cell(features)[0], sequences, steps)


def both_passes(
    online: nn.Module, target: nn.Module, unroll: Callable[[nn.Module, Tensor], Tensor], sequences: int, steps: int
) -> Work:
    """The online network forward and backward, the target network forward."""
    features = torch.randn(steps, sequences, UNITS).requires_grad_()

    def step() -> None:
        online.zero_grad()
        features.grad = None
        with torch.no_grad():
            unroll(target, features)
        torch.autograd.backward(unroll(online, features).sum())

    return step
