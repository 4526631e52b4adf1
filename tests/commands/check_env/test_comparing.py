"""What counts as a difference, and where the first one is."""

from typing import NamedTuple

import torch
from torch import Tensor

from marlpipe.commands.check_env.mismatches import differences, first, number, unequal
from marlpipe.commands.check_env.promise import Failure
from marlpipe.commands.check_env.recording import at_random, stuck
from marlpipe.commands.check_env.values import copied, indexed, mixed, stacked, tokens
from marlpipe.types import Timestep

EVERYWHERE = torch.ones(3, 2, dtype=torch.bool)


class Pair(NamedTuple):
    left: Tensor
    right: object


def test_nan_is_nan_and_rounding_is_no_difference_where_it_may_happen() -> None:
    ours = torch.tensor([1.0, torch.nan, torch.nan, torch.inf, 2.0])
    theirs = torch.tensor([1.000001, torch.nan, 0.0, torch.inf, 2.1])
    assert unequal(ours, theirs, rounding=False).tolist() == [True, False, True, False, True]
    assert unequal(ours, theirs, rounding=True).tolist() == [False, False, True, False, True]
    whole = torch.tensor([1_000_000, 5]), torch.tensor([1_000_001, 5])
    assert unequal(*whole, rounding=True).tolist() == [True, False]
    assert unequal(torch.tensor([True]), torch.tensor([False]), rounding=True).tolist() == [True]


def test_the_first_is_the_earliest_that_is_read() -> None:
    bad = torch.zeros(3, 2, 4, 5, dtype=torch.bool)
    bad[0, 1, 0, 0] = bad[1, 1, 2, 3] = bad[2, 0, 0, 0] = True
    assert first(bad, EVERYWHERE) == [(0, 1, 0)]
    read = EVERYWHERE.clone()
    read[0, 1] = False
    assert first(bad, read) == [(1, 1, 2 * 5 + 3)]
    assert first(bad, torch.zeros_like(read)) == []
    assert first(bad[:, :, 0, 0], EVERYWHERE) == [(0, 1, 0)]


def test_a_number_and_its_place() -> None:
    assert number(torch.tensor([[1.0, 2.0], [0.25, 4.0]]), 2) == "0.25 at [1, 0]"
    assert number(torch.tensor([3, 7]), 1) == "7 at [1]"
    assert number(torch.tensor(True), 0) == "True"


def test_differences_are_told_by_field() -> None:
    rewards, none = torch.zeros(3, 2, 4), torch.zeros(3, 2, dtype=torch.bool)
    paid, ended = rewards.clone(), none.clone()
    paid[1:, 1, 3], ended[2, 0] = 0.5, True
    came, expected = Timestep(paid, ended, none), Timestep(rewards, none, none)
    assert list(differences(came, expected, EVERYWHERE, env_step=1, same_as="as told")) == [
        Failure("rewards", "0 at [3], as told", "0.5 at [3]", 2, 1),
        Failure("terminated", "False, as told", "True", 3, 0),
    ]
    assert list(differences(came, expected, ~EVERYWHERE, env_step=1, same_as="as told")) == []
    [failure] = differences(Pair(paid, paid), Pair(paid, paid.double()), EVERYWHERE, env_step=4, same_as="as told")
    assert str(failure) == (
        "Pair.right, env step 4: expected float64 (3, 2, 4) on cpu, as told, came float32 (3, 2, 4) on cpu"
    )


def test_values_and_tokens() -> None:
    one, other = (
        Pair(torch.tensor([1, 2]), torch.tensor([[3.0], [4.0]])),
        Pair(torch.zeros(2).long(), torch.zeros(2, 1)),
    )
    assert tokens(one) == []
    assert tokens(Pair(torch.zeros(1), "a handle")) == ["Pair.right is no tensor"]
    assert tokens((torch.zeros(1),)) == ["tuple is no NamedTuple of tensors"]
    assert [field.tolist() for field in mixed(torch.tensor([False, True]), one, other)] == [[0, 2], [[0.0], [4.0]]]
    assert [field.tolist() for field in indexed(one, torch.tensor([1]))] == [[2], [[4.0]]]
    assert stacked([one, other]).left.tolist() == [[1, 2], [0, 0]]
    handle = object()
    copy = copied(Pair(one.left, handle))
    assert (copy.left.tolist(), copy.left is one.left, copy.right is handle) == ([1, 2], False, True)
    assert copied(handle) is handle


def test_random_actions_are_all_those_available() -> None:
    avail_actions = torch.tensor([[[True, False, True], [False, True, False]]]).expand(200, -1, -1)
    actions = at_random(0, torch.device("cpu"))(0, avail_actions)
    assert (actions[:, 0].unique().tolist(), actions[:, 1].unique().tolist()) == ([0, 2], [1])


def test_stuck_is_who_acts_and_cannot() -> None:
    avail_actions = torch.ones(3, 2, 4, dtype=torch.bool)
    avail_actions[0, 1] = avail_actions[2, 0] = False
    acting = torch.tensor([False, True, True])
    assert [(failure.copy, failure.came) for failure in stuck(avail_actions, acting, 5)] == [(2, "none for agent 0")]
    assert list(stuck(avail_actions, torch.tensor([False, True, False]), 5)) == []
