"""The arms of Multi-OFUL: every joint action of every block, all in one row."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import UserError

MOST_ARMS = 10_000  # of one block: each keeps a D × D matrix per seed


class Arms(NamedTuple):
    """How the M = K_P = Σ_J K^|J| arms (J, a_J) are numbered: block after block, no arm that does not exist.

    Within a block they are in lexicographic order of its agents' actions. W is the number of arms of the largest block.
    """

    block: Int[Tensor, " M"]  # J of each arm
    slots: Int[Tensor, "J W"]  # the arms of each block; any arm where the block has no more
    exists: Bool[Tensor, "J W"]
    block_of: Int[Tensor, " N"]  # of each agent
    place_value: Int[Tensor, " N"]  # K to the power of the block's later agents


def numbered(partition: Float[Tensor, "J N"], n_actions: int) -> Arms:
    """The arms of a partition P with K = `n_actions` actions per agent, as far as `check_sizes` allows."""
    members = partition.long()
    counts = n_actions ** members.sum(1)  # K^|J|
    first = counts.cumsum(0) - counts
    number = torch.arange(int(counts.max()), device=partition.device)
    exists = number < counts.unsqueeze(1)
    later = (members.T @ members).triu(diagonal=1).sum(1)
    return Arms(
        block=torch.arange(len(counts), device=partition.device).repeat_interleave(counts),
        slots=torch.where(exists, first.unsqueeze(1) + number, 0),
        exists=exists,
        block_of=members.argmax(0),
        place_value=n_actions**later,
    )


def check_sizes(sizes: Sequence[int], n_actions: int) -> None:
    """UserError if a block has more joint actions than can be told apart."""
    if (most := n_actions ** max(sizes)) > MOST_ARMS:
        largest = next(size for size in reversed(range(max(sizes))) if n_actions**size <= MOST_ARMS)
        raise UserError(
            f"partition: a block of {max(sizes)} agents with {n_actions} actions each has {most} joint actions.\n"
            f"  valid: at most {MOST_ARMS}, so blocks of up to {largest} agents\n"
            "  next: partition=singletons or pairs, fewer agents with env.n_agents=…, or fewer actions with "
            "env.n_actions=…"
        )


def best_of_each_block(scores: Float[Tensor, "B M"], arms: Arms) -> Int[Tensor, "B J"]:
    """The number, within its block, of each block's arm of the highest score: the first of those that tie."""
    return scores[:, arms.slots].masked_fill(~arms.exists, -torch.inf).argmax(-1)


def arms_at(numbers: Int[Tensor, "B J"], arms: Arms) -> Int[Tensor, "B J"]:
    """The arms with these numbers within their blocks."""
    return arms.slots[:, 0] + numbers


def joint_actions(numbers: Int[Tensor, "B J"], arms: Arms, n_actions: int) -> Int[Tensor, "B N"]:
    """What each agent does when the blocks play the arms with these numbers: a digit of its block's number."""
    return numbers[:, arms.block_of] // arms.place_value % n_actions
