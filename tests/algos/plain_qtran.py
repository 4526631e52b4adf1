"""QTRAN's terms in plain loops over episodes, steps, agents and actions, with every one-hot written out."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.synthetic import make_spec

SPEC = make_spec()
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
Mix = Callable[[Tensor, Tensor], Tensor]  # utilities (N,), state (S,) -> a number


def summed(utilities: Tensor, state: Tensor) -> Tensor:
    del state
    return utilities.sum()


def layers(network: nn.Module, x: Tensor) -> Tensor:
    """ReLU between the affine maps of a network."""
    affine = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for layer in affine[:-1]:
        x = F.relu(F.linear(x, layer.weight, layer.bias))
    return F.linear(x, affine[-1].weight, affine[-1].bias)


def onehot(index: int, size: int) -> Tensor:
    return torch.tensor([float(place == index) for place in range(size)], dtype=torch.float64)


def remembered(agent: Any, given: reference.Episode) -> tuple[list[Tensor], list[Tensor]]:
    """All utilities and memories, acting step by step."""
    memory, found = agent.initial_memory(1), []
    last = torch.full_like(given.actions[:1], SPEC.n_actions)
    for t in range(len(given.obs)):
        utilities, memory = agent.step(given.obs[t : t + 1], last, memory)
        found.append((utilities[0], memory[0]))
        last = given.actions[t : t + 1]
    utilities, memories = zip(*found, strict=True)
    return list(utilities), list(memories)


def base_value(network: Any, memories: Tensor, actions: list[int], state: Tensor) -> Tensor:
    """Q_jt(s, h, u): PyMARL's qtran_base network."""
    team = torch.zeros(())
    for memory, action in zip(memories, actions, strict=True):
        team = team + layers(network.encoder, torch.cat([memory, onehot(action, SPEC.n_actions)]))
    return layers(network.mlp, torch.cat([team, state])).squeeze()


def alt_values(network: Any, agent: int, actions: list[int], state: Tensor) -> Tensor:
    """Q_jt(s, i, u_{−i}): a value for each action of agent i, whose own is hidden."""
    blocks = [onehot(a, SPEC.n_actions) * (other != agent) for other, a in enumerate(actions)]
    return layers(network, torch.cat([state, *blocks, onehot(agent, SPEC.n_agents)]))


def joint_estimates(algo: str, network: Any, memories: Tensor, actions: list[int], state: Tensor) -> list[Tensor]:
    """Q_jt of a joint action: one in the base form, one for each agent in the alt form."""
    if algo == "qtran":
        return [base_value(network, memories, actions, state)]
    return [alt_values(network, i, actions, state)[a] for i, a in enumerate(actions)]


def side_terms(
    algo: str, algorithm: Any, given: reference.Episode, t: int, q: Tensor, memories: Tensor, mix: Mix
) -> tuple[Tensor, Tensor]:
    """The squared errors of both side constraints at one step, for utilities q (N,A)."""
    actions, state = given.actions[t].tolist(), given.state[t]
    best = reference.greedy(q, given.avail_actions[t])
    v = layers(algorithm.state_value, state).squeeze()
    of_best = joint_estimates(algo, algorithm.joint, memories, best, state)
    optimal = [(mix(reference.taken(q, best), state) - joint.detach() + v) ** 2 for joint in of_best]
    if algo == "qtran":
        gap = mix(reference.taken(q, actions), state) - base_value(algorithm.joint, memories, actions, state).detach()
        return optimal[0], torch.minimum(gap + v, torch.zeros(())) ** 2
    others = []
    for i in range(SPEC.n_agents):
        heads, gaps = alt_values(algorithm.joint, i, actions, state).detach(), []
        for a in range(SPEC.n_actions):
            if given.avail_actions[t, i, a]:
                changed = [a if j == i else actions[j] for j in range(SPEC.n_agents)]
                gaps.append(mix(reference.taken(q, changed), state) - heads[a] + v)
        others.append(torch.stack(gaps).min() ** 2)
    return torch.stack(optimal).mean(), torch.stack(others).mean()


def plain_terms(
    algo: str, algorithm: Any, batch: EpisodeBatch, decay: float, mix: Mix = summed
) -> list[dict[str, Tensor]]:
    """The three squared errors of every step of every episode, means over agents in the alt form."""
    terms = []
    for given in reference.episodes(batch):
        utilities, memories = remembered(algorithm.agent, given)
        best = [reference.greedy(q, avail) for q, avail in zip(utilities, given.avail_actions, strict=True)]
        of_target = remembered(algorithm.target_agent, given)[1] if algo == "qtran" else memories
        next_values = [
            [float(joint.detach()) for joint in joint_estimates(algo, algorithm.target_joint, *moment)]
            for moment in zip(of_target, best, given.state, strict=True)
        ]
        rewards = [float(r.sum()) for r in given.rewards]
        targets = [
            reference.returns(rewards, list(values), bool(given.terminated[-1]), DISCOUNT, decay)
            for values in zip(*next_values, strict=True)
        ]
        for t, actions in enumerate(given.actions):
            of_taken = joint_estimates(algo, algorithm.joint, memories[t], actions.tolist(), given.state[t])
            td = torch.stack([(joint - y[t]) ** 2 for joint, y in zip(of_taken, targets, strict=True)]).mean()
            opt, nopt = side_terms(algo, algorithm, given, t, utilities[t], memories[t], mix)
            terms.append({"td": td, "opt": opt, "nopt": nopt})
    return terms
