"""What the batched code must equal, in plain loops over episodes, steps, agents and blocks."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marlpipe.types import EpisodeBatch
from tests.support.synthetic import episode

Map = Callable[[Tensor], Tensor]


def within(graph: Tensor, agents: list[int], hops: int) -> list[int]:
    """Whoever is at most `hops` edges away from one of the agents, by breadth-first search."""
    reached, frontier = set(agents), set(agents)
    for _ in range(hops):
        frontier = {j for i in frontier for j in range(len(graph)) if graph[i, j]} - reached
        reached |= frontier
    return sorted(reached)


def members(partition: Tensor) -> list[list[int]]:
    return [[agent for agent in range(partition.shape[1]) if row[agent]] for row in partition]


def hypernet(network: Any, block: int, state: Tensor) -> Tensor:
    """PyMARL's hypernetwork: Linear, or Linear ReLU Linear."""
    features = state
    if network.hidden is not None:
        width = network.hidden.out_features // network.blocks
        rows = slice(block * width, (block + 1) * width)
        features = F.relu(F.linear(state, network.hidden.weight[rows], network.hidden.bias[rows]))
    return F.linear(features, network.output.weight[block].T, network.output.bias[block])


def qmix(mixer: Any, block: int, inputs: Tensor, state: Tensor, constrain: Map = torch.abs) -> Tensor:
    """PyMARL's QMixer on one vector of utilities, which are those that the block reads."""
    w1 = constrain(hypernet(mixer.w1, block, state)).view(-1, mixer.embed)
    hidden = F.elu(inputs @ w1[: len(inputs)] + hypernet(mixer.b1, block, state))
    final = constrain(hypernet(mixer.w2, block, state))
    return hidden @ final + hypernet(mixer.v, block, state).squeeze()


def lomaq(mixer: Any, block: int, inputs: Tensor, constrain: Map = torch.relu) -> Tensor:
    """LOMAQ's three affine layers on the utilities that the block reads."""
    group = int(mixer.group[block])
    weights = [constrain(theta[group]) for theta in mixer.theta]
    biases = [bias[group, 0] for bias in mixer.bias]
    x1 = F.elu(inputs @ weights[0][: len(inputs)] + biases[0])
    x2 = F.elu(x1 @ weights[1] + biases[1])
    return (x2 @ weights[2] + biases[2]).squeeze()


def central(mixer: Any, utilities: Tensor, state: Tensor) -> Tensor:
    """WQMIX's unrestricted mixer."""
    x = torch.cat([utilities, state])
    layers = [layer for layer in mixer.mlp if isinstance(layer, nn.Linear)]
    for layer in layers[:-1]:
        x = F.relu(F.linear(x, layer.weight, layer.bias))
    offset = F.linear(F.relu(F.linear(state, mixer.v[0].weight, mixer.v[0].bias)), mixer.v[2].weight, mixer.v[2].bias)
    return F.linear(x, layers[-1].weight, layers[-1].bias) + offset


class Episode(NamedTuple):
    """One episode without padding, time first."""

    obs: Tensor
    state: Tensor
    avail_actions: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    valid: Tensor


def episodes(batch: EpisodeBatch) -> list[Episode]:
    return [Episode(*(field[0] for field in episode(batch, index))) for index in range(len(batch.valid))]


def unroll(agent: Any, given: Episode) -> list[Tensor]:
    """All utilities at all moments, acting step by step."""
    memory = agent.initial_memory(1)
    last = torch.full_like(given.actions[:1], given.avail_actions.shape[-1])
    found = []
    for t in range(len(given.obs)):
        utilities, memory = agent.step(given.obs[t : t + 1], last, memory)
        found.append(utilities[0])
        last = given.actions[t : t + 1]
    return found


def taken(utilities: Tensor, actions: Tensor | list[int]) -> Tensor:
    return torch.stack([utilities[i, int(a)] for i, a in enumerate(actions)])


def greedy(utilities: Tensor, avail: Tensor) -> list[int]:
    """The best available action of each agent."""
    found, utilities = [], utilities.detach()
    for agent in range(len(utilities)):
        choices = [a for a in range(utilities.shape[1]) if avail[agent, a]]
        found.append(max(choices, key=lambda a, i=agent: float(utilities[i, a])))
    return found


def returns(rewards: list[float], values: list[float], terminal: bool, discount: float, decay: float) -> list[float]:
    """λ-returns in the forward view: averages of n-step returns. λ = 0: one-step targets."""
    length, found = len(rewards), []
    for t in range(length):
        total = 0.0
        for n in range(1, length - t + 1):
            last = t + n == length
            g = sum(discount**k * rewards[t + k] for k in range(n))
            if not (last and terminal):
                g += discount**n * values[t + n]
            total += decay ** (n - 1) * (1.0 if last else 1 - decay) * g
        found.append(total)
    return found


def regret_weights(steps: list[dict[str, Any]], projection: Any) -> list[float]:
    """QPro's weights of all steps of a batch, which have: y, q, q_star, policy, slopes."""
    raw = []
    for step in steps:
        delta = step["y"] - step["q"]
        gap = max(-projection.max_exponent, min(projection.max_exponent, step["q_star"] - step["q"]))
        bracket = sum(
            (1 - p) / max(f, projection.min_slope) for p, f in zip(step["policy"], step["slopes"], strict=True)
        )
        bracket = max(bracket - 1, projection.min_bracket)
        raw.append(delta * math.exp(gap) * bracket if delta >= 0 else 0.0)
    top = max(raw)
    return [projection.min_weight + (1 - projection.min_weight) * (e / top if top else 0.0) for e in raw]
