"""DOP's terms in plain loops over episodes, steps, agents and joint actions."""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support import reference
from tests.support.synthetic import make_spec

SPEC = make_spec()
DISCOUNT = float(torch.tensor(0.99))  # rounded as the masks of `lambda_targets` are
EPSILON = 0.3


def plain_q(critic: Any, state: Tensor, obs: Tensor) -> Tensor:
    """(N,A): the critic on state ⊕ observation ⊕ one-hot, agent by agent."""
    rows = []
    for agent in range(SPEC.n_agents):
        x = torch.cat([state, obs[agent], F.one_hot(torch.tensor(agent), SPEC.n_agents).to(state)])
        for layer in (critic.input, critic.hidden):
            x = F.relu(F.linear(x, layer.weight, layer.bias))
        *advantages, value = F.linear(x, critic.output.weight, critic.output.bias)
        rows.append(torch.stack([advantage + value for advantage in advantages]))
    return torch.stack(rows)


def plain_credits(mixer: Any, state: Tensor) -> list[Tensor]:
    w1 = F.linear(state, mixer.w1.weight, mixer.w1.bias).abs()
    w2 = F.linear(state, mixer.w2.weight, mixer.w2.bias).abs()
    raw = [w1[i * len(w2) : (i + 1) * len(w2)] @ w2 for i in range(SPEC.n_agents)]
    return [k / sum(raw, torch.zeros(())) for k in raw]


def plain_bias(mixer: Any, state: Tensor) -> Tensor:
    if mixer.b1 is None:
        return torch.zeros(())
    w2 = F.linear(state, mixer.w2.weight, mixer.w2.bias).abs()
    v = F.linear(F.relu(F.linear(state, mixer.v[0].weight, mixer.v[0].bias)), mixer.v[2].weight, mixer.v[2].bias)
    return F.linear(state, mixer.b1.weight, mixer.b1.bias) @ w2 + v.squeeze()


def plain_q_tot(mixer: Any, q: Tensor, actions: Any, state: Tensor) -> Tensor:
    mixed = [k * q[i, int(a)] for i, (k, a) in enumerate(zip(plain_credits(mixer, state), actions, strict=True))]
    return sum(mixed, torch.zeros(())) + plain_bias(mixer, state)


def plain_policy(agent: Any, given: reference.Episode, epsilon: float) -> list[Tensor]:
    """(N,A) at each moment: softmax mixed with uniform, then only what is available."""
    found = []
    for logits, avail in zip(reference.unroll(agent, given), given.avail_actions, strict=True):
        mixture = (1 - epsilon) * logits.exp() / logits.exp().sum(-1, keepdim=True) + epsilon / SPEC.n_actions
        found.append(torch.stack([m * a / (m * a).sum() for m, a in zip(mixture, avail, strict=True)]))
    return found


def plain_targets(algorithm: Any, given: reference.Episode, recent: bool, epsilon: float = EPSILON) -> list[float]:
    """TD(0.8) of a recent episode, the five-step tree backup of another; expectations over all joint actions."""
    with torch.no_grad():
        policy = plain_policy(algorithm.agent, given, epsilon)
        q = [plain_q(algorithm.target_critic, s, o) for s, o in zip(given.state, given.obs, strict=True)]
        mixer = algorithm.target_mixer
        taken = [float(plain_q_tot(mixer, q[t], given.actions[t], given.state[t])) for t in range(len(given.actions))]
        expected = []
        for t, pi in enumerate(policy):
            expected.append(0.0)
            for joint in itertools.product(range(SPEC.n_actions), repeat=SPEC.n_agents):
                probability = float(reference.taken(pi, list(joint)).prod())
                if probability:
                    expected[t] += probability * float(plain_q_tot(mixer, q[t], joint, given.state[t]))
        rewards, terminal = [float(r.sum()) for r in given.rewards], bool(given.terminated[-1])
        length = len(rewards)
        if recent:
            return reference.returns(rewards, [*taken, expected[length]], terminal, DISCOUNT, 0.8)
        if terminal:
            expected[length] = 0.0
        probability_of = [float(reference.taken(policy[t], given.actions[t]).prod()) for t in range(length)]
        delta = [rewards[t] + 0.99 * expected[t + 1] - taken[t] for t in range(length)]
        found = []
        for t in range(length):
            y, trace = taken[t], 1.0
            for ahead in range(min(5, length - t)):
                trace *= 0.99 * 0.93 * probability_of[t + ahead] if ahead else 1.0
                y += trace * delta[t + ahead]
            found.append(y)
        return found


def plain_actor_loss(algorithm: Any, recent: list[reference.Episode]) -> Tensor:
    terms = []
    for given in recent:
        policy = plain_policy(algorithm.agent, given, EPSILON)
        for t, actions in enumerate(given.actions):
            q = plain_q(algorithm.critic, given.state[t], given.obs[t]).detach()
            credits = plain_credits(algorithm.mixer, given.state[t])
            for i, a in enumerate(actions.tolist()):
                advantage = q[i, a] - (policy[t][i].detach() * q[i]).sum()
                terms.append(credits[i].detach() * advantage * policy[t][i, a].log())
    return -sum(terms, torch.zeros(())) / len(terms)


class PlainRMSprop:
    """v ← α v + (1 − α) g², θ ← θ − lr g / (√v + ε), after clipping the norm of all gradients together."""

    def __init__(self, parameters: list[Tensor], lr: float, clip: float) -> None:
        self.parameters, self.lr, self.clip = parameters, lr, clip
        self.v = [torch.zeros_like(p) for p in parameters]

    def step(self, loss: Tensor) -> float:
        gradients = torch.autograd.grad(loss, self.parameters)
        norm = float(torch.cat([g.flatten() for g in gradients]).norm())
        for p, v, g in zip(self.parameters, self.v, gradients, strict=True):
            clipped = g * min(1.0, self.clip / norm)
            v.mul_(0.99).add_(0.01 * clipped**2)
            p.data.sub_(self.lr * clipped / (v.sqrt() + 1e-5))
        return norm
