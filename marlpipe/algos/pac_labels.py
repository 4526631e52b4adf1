"""PAC's counterfactual labels: the best joint action that one agent alone can reach (Zhou, Lan, Aggarwal 2022, §4)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


@torch.no_grad()
def counterfactual_labels(
    greedy: Int[Tensor, "V N"],
    utilities: Float[Tensor, "V N A"],
    avail_actions: Bool[Tensor, "V N A"],
    state: Float[Tensor, "V S"],
    value: Callable[[Tensor, Tensor], Tensor],
    chunk: int,
) -> Int[Tensor, "V N"]:
    """argmax of Q*(s, ·) over û and all (û_{−i}, a) for agents i and their available actions a.

    greedy: û. value: Q* of joint actions (R), from the utilities of their actions (R,N) and their states (R,S).
    chunk: how many joint actions are evaluated at once. û stays where nothing is better; of ties the first by agent
    and action is taken.
    """
    of_greedy = utilities.gather(-1, greedy.unsqueeze(-1)).squeeze(-1)
    others = avail_actions & ~F.one_hot(greedy, utilities.shape[-1]).bool()
    values = torch.full_like(utilities, -torch.inf)
    for row, agent, action in zip(*(torch.split(i, chunk) for i in others.nonzero(as_tuple=True)), strict=True):
        changed = utilities[row, agent, action].unsqueeze(1)
        values[row, agent, action] = value(of_greedy[row].scatter(1, agent.unsqueeze(1), changed), state[row])
    best, place = values.flatten(1).max(dim=1)
    agent, action = (place // utilities.shape[-1]).unsqueeze(1), (place % utilities.shape[-1]).unsqueeze(1)
    better = best > value(of_greedy, state)
    return torch.where(better.unsqueeze(1), greedy.scatter(1, agent, action), greedy)
