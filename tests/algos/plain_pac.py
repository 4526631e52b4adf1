"""PAC with moved parameters, and its three losses in plain loops over episodes, steps, agents and actions."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.composition import build
from tests.support.synthetic import make_spec, ragged_batch, scramble

SPEC = make_spec()
LENGTHS = [4, 1, 6, 3, 6]
K = 3  # numbers per message
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
ALPHA = math.exp(float(torch.tensor(-0.07)))  # the temperature at the start


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=LENGTHS, terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def scrambled(*overrides: str) -> Any:
    """PAC with moved parameters, and logits some of which are out of bounds."""
    algorithm = build("algo=pac", "profile=qpro", *overrides, spec=SPEC)
    scramble(algorithm)
    scramble(algorithm.agent.agent.output, seed=1, scale=2.0)
    with torch.no_grad():
        algorithm.temperature.log_value.fill_(float(torch.tensor(-0.07)))
    return algorithm


def known_noise(means: Tensor) -> Tensor:
    """The tests' noise of messages: a function of their means, so that loops can compute it."""
    return torch.sin(20 * means.detach() + 1)


def mlp(network: Any, seen: list[Tensor]) -> Tensor:
    x = torch.cat(seen) @ network.input.weight[0] + network.input.bias[0]
    return network.layers[2](F.relu(network.layers[0](F.relu(x))))


def plain_losses(
    algorithm: Any, batch: EpisodeBatch, mask: Tensor, factors: tuple[float, float, float]
) -> dict[str, Tensor]:
    """`factors`: of the message_cost loss, and of the KL divergence and of the messages' entropy in it."""
    critic, alpha_ow, (outer, beta, of_entropy) = algorithm.critic, 0.5, factors
    n_agents, n_actions = batch.avail_actions.shape[2:]
    total = {name: torch.zeros((), dtype=torch.float64) for name in ("critic", "actor", "temperature")}
    clamped, changed = 0, 0
    for given, learns in zip(reference.episodes(batch), mask, strict=True):
        acted = torch.cat([torch.full_like(given.actions[:1], n_actions), given.actions])
        means, messages, heard = [], [], []
        for obs, last in zip(given.obs, acted, strict=True):
            seen = [
                [obs[i], torch.eye(n_actions + 1).double()[last[i]][:n_actions], torch.eye(n_agents).double()[i]]
                for i in range(n_agents)
            ]
            means.append([mlp(critic.encoder, seen[i]) for i in range(n_agents)])
            messages.append([mean + known_noise(mean) for mean in means[-1]])
            to = [torch.cat([messages[-1][i][K * j : K * j + K] for i in range(n_agents)]) for j in range(n_agents)]
            heard.append(torch.stack([torch.cat([obs[j], to[j]]) for j in range(n_agents)]))
        utilities = reference.unroll(critic.agent, given._replace(obs=torch.stack(heard)))
        free = reference.unroll(algorithm.agent.agent, given)
        logits = [
            torch.where(u > 2, torch.full_like(u, 2), torch.where(u < -5, torch.full_like(u, -5), u)) for u in free
        ]
        clamped += sum(int((u != v).sum()) for u, v in zip(free, logits, strict=True))
        best = [reference.greedy(u, avail) for u, avail in zip(logits, given.avail_actions, strict=True)]
        unrestricted = reference.unroll(algorithm.optimal_value.agent, given)
        target = [u.detach() for u in reference.unroll(algorithm.optimal_value.target_agent, given)]

        def star(t: int, joint: list[int], given: Any = given, target: Any = target) -> float:
            inputs = reference.taken(target[t], joint)
            return float(reference.central(algorithm.optimal_value.target_mixer, inputs, given.state[t]).detach())

        rewards = [float(r.sum()) for r in given.rewards]
        values = [star(t, joint) for t, joint in enumerate(best)]
        y = reference.returns(rewards, values, bool(given.terminated[-1]), DISCOUNT, 0.6)
        for t in range(len(given.actions)):
            if not learns[t]:
                continue
            actions, state, avail = given.actions[t], given.state[t], given.avail_actions[t]
            label, highest = best[t], values[t]
            for i in range(n_agents):
                for a in range(n_actions):
                    joint = [*best[t][:i], a, *best[t][i + 1 :]]
                    if avail[i, a] and star(t, joint) > highest:
                        label, highest = joint, star(t, joint)
            changed += label != best[t]

            q_tot = reference.qmix(algorithm.mixer, 0, reference.taken(utilities[t], actions), state)
            q_star = reference.central(
                algorithm.optimal_value.mixer, reference.taken(unrestricted[t], actions), state
            ).squeeze()
            weight = 1.0 if float(q_tot.detach()) < y[t] else alpha_ow
            message_cost = torch.zeros(())
            for i in range(n_agents):
                seen_i = [
                    heard[t][i],
                    torch.eye(n_actions + 1).double()[acted[t, i]][:n_actions],
                    torch.eye(n_agents).double()[i],
                ]
                odds = mlp(critic.predictor, seen_i).exp()
                message_cost = message_cost - (odds[label[i]] / odds.sum()).log()
                message_cost = message_cost + beta * (means[t][i] ** 2).sum() / 2
                message_cost = message_cost + of_entropy * (messages[t][i] ** 2 + math.log(2 * math.pi)).sum() / 2
            total["critic"] = (
                total["critic"] + weight * (q_tot - y[t]) ** 2 + 0.5 * (q_star - y[t]) ** 2 + outer * message_cost
            )

            costs, entropy = [], torch.zeros(())
            for i in range(n_agents):
                odds = torch.where(avail[i], logits[t][i].exp(), 0.0)
                chances = [float(avail[i, a]) * odds[a] / odds.sum() for a in range(n_actions)]
                cost = torch.zeros(())
                for a in range(n_actions):
                    if avail[i, a]:
                        cost = cost + chances[a] * (ALPHA * chances[a].log() - utilities[t][i, a].detach())
                        entropy = entropy - (chances[a] * chances[a].log()).detach()
                costs.append(cost)
            mixed = reference.qmix(algorithm.mixer, 0, torch.stack(costs), state)
            total["actor"] = total["actor"] + mixed
            total["temperature"] = total["temperature"] + algorithm.temperature.log_value * (
                entropy + n_agents * n_actions
            )
    assert clamped > 0
    assert changed > 0
    return {name: loss / int(mask.sum()) for name, loss in total.items()}
