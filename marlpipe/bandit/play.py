"""Multi-OFUL meets the world: all rounds, for many seeds side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.bandit.arms import arms_at, best_of_each_block, joint_actions, numbered
from marlpipe.bandit.bounds import Constants, confidence_radius
from marlpipe.bandit.oful import prior, updated, upper_confidence
from marlpipe.envs.linear_bandit import LinearBandit, expected_rewards, regret


class Played(NamedTuple):
    """T rounds of B seeds."""

    actions: Int[Tensor, "T B N"]
    regret: Float[Tensor, "T B"]  # summed over the rounds up to and with each


def play(
    env: LinearBandit,
    partition: Float[Tensor, "J N"],
    constants: Constants,
    exploration_factor: float,
    seeds: Sequence[int],
    track: Callable[[range], Iterable[int]] = iter,
) -> Played:
    """Plays `env.horizon` rounds. A seed's contexts and noises are its own, whatever partition or seeds play beside it.

    Args:
        exploration_factor: α, on the confidence width.
        track: shows how far the rounds are.
    """
    arms = numbered(partition, env.n_actions)
    contexts, noises = draws(env, seeds)
    parameters, membership = env.parameters.double(), partition.T.double()
    rounds = torch.arange(1, env.horizon + 1, dtype=torch.float64)
    radii = confidence_radius(constants, rounds)
    actions = torch.empty(env.horizon, len(seeds), env.n_agents, dtype=torch.long)
    lost = torch.empty(env.horizon, len(seeds), dtype=torch.float64)
    estimates = prior(len(seeds), len(arms.block), env.context_dim, constants.ridge)
    for t in track(range(env.horizon)):
        scores = upper_confidence(estimates, contexts[t], radii[t, arms.block], exploration_factor)
        numbers = best_of_each_block(scores, arms)
        actions[t] = joint_actions(numbers, arms, env.n_actions)
        means = expected_rewards(contexts[t], parameters).gather(2, actions[t].unsqueeze(2)).squeeze(2)
        lost[t] = regret(contexts[t], actions[t], parameters)
        estimates = updated(estimates, arms_at(numbers, arms), contexts[t], (means + noises[t]) @ membership)
    return Played(actions, lost.cumsum(0))


def draws(env: LinearBandit, seeds: Sequence[int]) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B N"]]:
    """Contexts and noises of all rounds, of each seed from a generator of its own."""
    drawn = [env.draws(torch.Generator().manual_seed(seed)) for seed in seeds]
    contexts, noises = (torch.stack(of_each_seed, dim=1).double() for of_each_seed in zip(*drawn, strict=True))
    return contexts, noises
