"""ε-greedy exploration, annealed in env steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.targets import greedy_actions


@dataclass(frozen=True, kw_only=True)
class LinearEpsilon:
    """ε falls on a straight line from `start` to `end` over the first `anneal_env_steps`, and stays there."""

    start: float
    end: float
    anneal_env_steps: int

    def __call__(self, env_steps: int) -> float:
        """The probability of a random action after `env_steps` executed training steps."""
        share = min(1.0, env_steps / self.anneal_env_steps) if self.anneal_env_steps else 1.0
        return self.start + share * (self.end - self.start)


def epsilon_greedy(
    utilities: Float[Tensor, "B N A"],
    avail_actions: Bool[Tensor, "B N A"],
    epsilon: float,
    generator: torch.Generator,
) -> Int[Tensor, "B N"]:
    """Each agent on its own: with probability ε a uniformly drawn available action, else its greedy one."""
    greedy = greedy_actions(utilities, avail_actions)
    if epsilon == 0:
        return greedy
    draws = torch.rand(*utilities.shape[:2], utilities.shape[2] + 1, generator=generator, device=utilities.device)
    random = draws[..., 1:].masked_fill(~avail_actions, -1).argmax(-1)
    return torch.where(draws[..., 0] < epsilon, random, greedy)
