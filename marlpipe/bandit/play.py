"""Plays Multi-OFUL in a linear bandit: all rounds, for many seeds in parallel."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.bandit.block_actions import best_of_each_block, block_actions_at, joint_actions, number_block_actions
from marlpipe.bandit.bounds import Constants, confidence_radius
from marlpipe.bandit.oful import prior, update, upper_confidence
from marlpipe.envs.linear_bandit import LinearBandit, expected_rewards, regret


class Played(NamedTuple):
    """T rounds of B seeds."""

    actions: Int[Tensor, "T B N"]
    regret: Float[Tensor, "T B"]  # cumulative


def play(
    env: LinearBandit,
    partition: Float[Tensor, "J N"],
    constants: Constants,
    exploration_factor: float,
    seeds: Sequence[int],
    track: Callable[[range], Iterable[int]] = iter,
) -> Played:
    """Plays `env.horizon` rounds. The contexts and noise of a seed do not depend on the partition or on other seeds.

    Args:
        exploration_factor: α, the factor of the confidence width.
        track: wraps the range of rounds, such as a progress bar.
    """
    block_actions = number_block_actions(partition, env.n_actions)
    contexts, noises = draws(env, seeds)
    parameters, membership = env.parameters.double(), partition.T.double()
    rounds = torch.arange(1, env.horizon + 1, dtype=torch.float64)
    radii = confidence_radius(constants, rounds)
    actions = torch.empty(env.horizon, len(seeds), env.n_agents, dtype=torch.long)
    lost = torch.empty(env.horizon, len(seeds), dtype=torch.float64)
    estimates = prior(len(seeds), len(block_actions.block), env.context_dim, constants.ridge)
    for t in track(range(env.horizon)):
        scores = upper_confidence(estimates, contexts[t], radii[t, block_actions.block], exploration_factor)
        numbers = best_of_each_block(scores, block_actions)
        actions[t] = joint_actions(numbers, block_actions, env.n_actions)
        means = expected_rewards(contexts[t], parameters).gather(2, actions[t].unsqueeze(2)).squeeze(2)
        lost[t] = regret(contexts[t], actions[t], parameters)
        taken = block_actions_at(numbers, block_actions)
        estimates = update(estimates, taken, contexts[t], (means + noises[t]) @ membership)
    return Played(actions, lost.cumsum(0))


def draws(env: LinearBandit, seeds: Sequence[int]) -> tuple[Float[Tensor, "T B D"], Float[Tensor, "T B N"]]:
    """Contexts and noise of all rounds, drawn with a separate generator per seed."""
    drawn = [env.draws(torch.Generator().manual_seed(seed)) for seed in seeds]
    contexts, noises = (torch.stack(of_each_seed, dim=1).double() for of_each_seed in zip(*drawn, strict=True))
    return contexts, noises
