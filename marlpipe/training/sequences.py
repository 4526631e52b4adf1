"""Draws pieces of episodes, every time step as likely as any other."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Sequences(NamedTuple):
    """Pieces of episodes: of which episode each is, its first time step, and how many transitions it has."""

    episodes: Int[Tensor, " B"]
    begins: Int[Tensor, " B"]
    lengths: Int[Tensor, " B"]


def draw_sequences(lengths: Int[Tensor, " E"], steps: int, n: int, generator: torch.Generator) -> Sequences:
    """`n` pieces of at most `steps` transitions, with replacement.

    An episode of length L has L + `steps` − 1 pieces, which begin at 1 − `steps` … L − 1 and are cut at its two ends:
    so each of its transitions is in `steps` of them. All pieces of all episodes are equally likely.

    Args:
        lengths: transitions of each episode, at least one.
    """
    count = lengths + steps - 1
    number = (torch.rand(n, generator=generator, device=lengths.device) * count.sum()).long()
    number = number.clamp(max=int(count.sum()) - 1)  # of a piece, among those of all episodes
    episodes = torch.searchsorted(count.cumsum(0), number, right=True)
    begins = number - (count.cumsum(0) - count)[episodes] - (steps - 1)
    ends = (begins + steps).minimum(lengths[episodes])
    begins = begins.clamp(min=0)
    return Sequences(episodes, begins, ends - begins)
