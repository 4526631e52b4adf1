"""Shares of covered landmarks, and which landmarks are seen, by hand."""

import pytest
import torch

from marlpipe.envs.navigation_coverage import (
    nearness,
    occupancy,
    pay_the_closest,
    seen_landmarks,
    split_among_occupants,
)


def test_landmarks_seen_first_are_those_of_the_region_in_index_order() -> None:
    distance = torch.tensor([[[0.9, 0.1, 3.0, 2.0, 0.3]]])
    from_centre = torch.tensor([[[1.0, 1.1, 0.5, 5.0, 0.2]]])
    for count, expected in {2: [0, 2], 3: [0, 2, 4], 4: [0, 2, 4, 1], 5: [0, 2, 4, 1, 3]}.items():
        assert seen_landmarks(distance, from_centre, 1.0, count).tolist() == [[expected]]


def test_occupancy_counts_the_others_on_every_landmark_of_an_agent() -> None:
    on, off = 0.2, 0.3
    # Agent 0 is on landmarks 0 and 1 with agents 1 and 2 and, twice, with agent 1. Agent 3 is alone, agent 4 nowhere.
    distance = torch.tensor([[[on, on, off], [on, on, off], [on, off, off], [off, off, on], [off, off, off]]])
    assert occupancy(distance, 0.25).tolist() == [[4, 4, 3, 1, 0]]


@pytest.mark.parametrize("occupants", [1, 2, 3, 5])
def test_a_landmark_pays_one_however_many_are_on_it(occupants: int) -> None:
    distance = torch.full((1, 5, 2), 0.25)  # not less than the reach
    distance[0, :occupants, 1] = 0.249
    paid = split_among_occupants(distance, 0.25, 0.1)
    torch.testing.assert_close(paid, torch.tensor([[1 / occupants] * occupants + [0.0] * (5 - occupants)]))


def test_the_closest_is_paid_however_far() -> None:
    distance = torch.tensor([[[0.05, 0.4, 2.0], [0.2, 0.5, 1.0], [0.3, 0.6, 3.0]]])
    torch.testing.assert_close(pay_the_closest(distance, 0.25, 0.1), torch.tensor([[1 + 0.25, 0.1, 0.0]]))


def test_nearness() -> None:
    distance = torch.tensor([[[0.0, 0.1, 0.2, 1.0]]])
    torch.testing.assert_close(nearness(distance, 0.1), torch.tensor([[1 + 1 + 0.5 + 0.1]]))
