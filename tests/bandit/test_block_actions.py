"""The numbering of joint actions, against itertools, and what is done where blocks have different sizes."""

from itertools import product

import pytest
import torch
from torch import Tensor

from marlpipe.bandit.block_actions import (
    BlockActions,
    best_of_each_block,
    block_actions_at,
    check_sizes,
    joint_actions,
    number_block_actions,
)
from marlpipe.errors import UserError

BLOCKS = [[1, 4], [2], [0, 3, 5]]  # of six agents with three actions: 9, 3 and 27 arms


def partition() -> Tensor:
    matrix = torch.zeros(len(BLOCKS), 6)
    for row, block in zip(matrix, BLOCKS, strict=True):
        row[block] = 1
    return matrix


@pytest.fixture
def arms() -> BlockActions:
    return number_block_actions(partition(), 3)


def test_every_arm_is_there_once(arms: BlockActions) -> None:
    assert arms.block.tolist() == [0] * 9 + [1] * 3 + [2] * 27
    assert arms.exists.sum(1).tolist() == [9, 3, 27]
    assert sorted(arms.slots[arms.exists].tolist()) == list(range(39))
    assert block_actions_at(torch.tensor([[8, 2, 26], [0, 0, 0]]), arms).tolist() == [[8, 11, 38], [0, 9, 12]]


def test_numbers_are_joint_actions_in_lexicographic_order(arms: BlockActions) -> None:
    for block, agents in enumerate(BLOCKS):
        for number, expected in enumerate(product(range(3), repeat=len(agents))):
            numbers = torch.zeros(1, 3, dtype=torch.long)
            numbers[0, block] = number
            actions = joint_actions(numbers, arms, 3)[0]
            assert tuple(actions[agents].tolist()) == expected
            assert int(actions.sum()) == sum(expected)  # the agents of other blocks are as they were


def test_padding_is_never_chosen(arms: BlockActions) -> None:
    """Not even where all scores of a small block are below those that its padding points to."""
    scores = torch.full((2, 39), -5.0, dtype=torch.float64)
    scores[0, :9] = torch.arange(9.0).double()
    scores[0, 10] = -4.0
    scores[1, 38] = 3.0
    assert best_of_each_block(scores, arms).tolist() == [[8, 1, 0], [0, 0, 26]]


def test_the_first_of_those_that_tie_is_chosen(arms: BlockActions) -> None:
    scores = torch.zeros(1, 39, dtype=torch.float64)
    assert best_of_each_block(scores, arms).tolist() == [[0, 0, 0]]
    scores[0, [4, 7, 11, 12 + 20, 12 + 9]] = 1.0
    assert best_of_each_block(scores, arms).tolist() == [[4, 2, 9]]


def test_too_many_joint_actions_are_refused() -> None:
    check_sizes([8, 1], 3)
    check_sizes([4], 10)  # ten thousand
    check_sizes([100], 1)
    with pytest.raises(UserError, match=r"(?s)9 agents with 3 actions each has 19683 .*at most 10000.*up to 8 agents"):
        check_sizes([1, 9], 3)
    with pytest.raises(UserError, match="40 agents"):  # more than 64 bits can count
        check_sizes([40], 3)
    with pytest.raises(UserError, match="up to 0 agents"):
        check_sizes([1], 10_001)
