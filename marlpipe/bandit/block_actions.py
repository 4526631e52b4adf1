"""The bandit arms of Multi-OFUL, called block actions here: every joint action of every block, in one sequence.

In the other modules an arm is a configuration of a grid, as everywhere in marlpipe.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import UserError

MOST_BLOCK_ACTIONS = 10_000  # of one block: each has a D × D matrix per seed


class BlockActions(NamedTuple):
    """The numbering of the M = K_P = Σ_J K^|J| block actions (J, a_J): block after block, without gaps.

    Within a block the order is lexicographic in its agents' actions. W is their number in the largest block.
    """

    block: Int[Tensor, " M"]  # J of each block action
    slots: Int[Tensor, "J W"]  # the block actions of each block, padded with 0
    exists: Bool[Tensor, "J W"]
    block_of: Int[Tensor, " N"]  # of each agent
    place_value: Int[Tensor, " N"]  # K to the power of the block's later agents


def number_block_actions(partition: Float[Tensor, "J N"], n_actions: int) -> BlockActions:
    """The block actions of a partition P with K = `n_actions` actions per agent; see `check_sizes` for the limit."""
    members = partition.long()
    counts = n_actions ** members.sum(1)  # K^|J|
    first = counts.cumsum(0) - counts
    number = torch.arange(int(counts.max()), device=partition.device)
    exists = number < counts.unsqueeze(1)
    later = (members.T @ members).triu(diagonal=1).sum(1)
    return BlockActions(
        block=torch.arange(len(counts), device=partition.device).repeat_interleave(counts),
        slots=torch.where(exists, first.unsqueeze(1) + number, 0),
        exists=exists,
        block_of=members.argmax(0),
        place_value=n_actions**later,
    )


def check_sizes(sizes: Sequence[int], n_actions: int) -> None:
    """UserError if a block has more than `MOST_BLOCK_ACTIONS` joint actions."""
    if (most := n_actions ** max(sizes)) > MOST_BLOCK_ACTIONS:
        largest = next(size for size in reversed(range(max(sizes))) if n_actions**size <= MOST_BLOCK_ACTIONS)
        raise UserError(
            f"partition: a block of {max(sizes)} agents with {n_actions} actions each has {most} joint actions.\n"
            f"  valid: at most {MOST_BLOCK_ACTIONS}, so blocks of up to {largest} agents\n"
            "  next: partition=singletons or pairs, fewer agents with env.n_agents=…, or fewer actions with "
            "env.n_actions=…"
        )


def best_of_each_block(scores: Float[Tensor, "B M"], actions: BlockActions) -> Int[Tensor, "B J"]:
    """The number, within its block, of each block's action with the highest score; the first one in a tie."""
    return scores[:, actions.slots].masked_fill(~actions.exists, -torch.inf).argmax(-1)


def block_actions_at(numbers: Int[Tensor, "B J"], actions: BlockActions) -> Int[Tensor, "B J"]:
    """The block actions with these numbers within their blocks."""
    return actions.slots[:, 0] + numbers


def joint_actions(numbers: Int[Tensor, "B J"], actions: BlockActions, n_actions: int) -> Int[Tensor, "B N"]:
    """The action of each agent when blocks take the block actions with these numbers: a digit of the number."""
    return numbers[:, actions.block_of] // actions.place_value % n_actions
