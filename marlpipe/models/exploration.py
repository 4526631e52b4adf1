"""How agents act in training: a schedule of ε, annealed in env steps, and what is done with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import Bound, Share
from marlpipe.models.utilities import greedy_actions

# utilities (B,N,A), available actions, ε, generator -> actions (B,N)
ActionSampler = Callable[[Tensor, Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class LinearEpsilon:
    """ε falls on a straight line from `start` to `end` over the first `anneal_env_steps`, and stays there.

    action_sampler: how actions are drawn with that ε, `epsilon_greedy` or `epsilon_softmax`.
    """

    start: Share
    end: Share
    anneal_env_steps: Annotated[int, Bound(0, 10**12)]
    action_sampler: ActionSampler

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
    if epsilon == 0:
        return greedy_actions(utilities, avail_actions)
    draws = torch.rand(*utilities.shape[:2], utilities.shape[2] + 1, generator=generator, device=utilities.device)
    explores, scores = torch.split(draws, [1, utilities.shape[2]], dim=2)
    return greedy_actions(torch.where(explores < epsilon, scores, utilities), avail_actions)


def softmax_policy(
    logits: Float[Tensor, "*batch N A"], avail_actions: Bool[Tensor, "*batch N A"], epsilon: float
) -> Float[Tensor, "*batch N A"]:
    """(1 − ε) softmax(logits) + ε/A, unavailable actions at zero and the rest renormalised (DOP's public code).

    Where no action is available, which padding alone has, it is the mixture over all of them. Where all available ones
    underflow, they are equally likely.
    """
    mixture = (1 - epsilon) * logits.softmax(-1) + epsilon / logits.shape[-1]
    mixture = mixture.clamp(min=torch.finfo(mixture.dtype).tiny)
    none_available = ~avail_actions.any(-1, keepdim=True)
    kept = mixture * (avail_actions | none_available)
    return kept / kept.sum(-1, keepdim=True)


def epsilon_softmax(
    logits: Float[Tensor, "B N A"],
    avail_actions: Bool[Tensor, "B N A"],
    epsilon: float,
    generator: torch.Generator,
) -> Int[Tensor, "B N"]:
    """Each agent on its own draws from `softmax_policy`."""
    probabilities = softmax_policy(logits, avail_actions, epsilon)
    drawn = torch.multinomial(probabilities.flatten(0, 1), 1, generator=generator)
    return drawn.view(logits.shape[:2])
