"""Local rewards spread over neighbourhoods: LOMAQ's option, off by default."""

from typing import Any

import pytest
import torch

from marlpipe.errors import UserError
from tests.support import reference
from tests.support.composition import build
from tests.support.synthetic import make_spec, ragged_batch

SPEC = make_spec(n_agents=5)


def reward_of(*overrides: str) -> Any:
    return build("algo=lomaq", *overrides, spec=SPEC).reward


def episodes() -> Any:
    return ragged_batch(SPEC, lengths=[3, 5], terminal=[True, False], dtype=torch.float64)


@pytest.mark.parametrize("hops", [0, 1, 2, 9])
def test_a_reward_is_split_among_who_is_near(hops: int) -> None:
    batch = episodes()
    found, trusted = reward_of(f"reward.smoothing_hops={hops}")(batch)
    near = [reference.within(SPEC.graph, [agent], hops) for agent in range(5)]
    for agent in range(5):
        expected = sum(batch.rewards[..., j] / len(near[j]) for j in near[agent])
        torch.testing.assert_close(found[..., agent], expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found.sum(-1), batch.team_rewards, atol=1e-6, rtol=1e-6)
    assert torch.equal(trusted, batch.valid)


def test_by_hand_on_a_line_of_three() -> None:
    """Ends have two in their neighbourhood, the middle has three: 6, 9, 12 becomes 3 + 3, 3 + 3 + 6, 3 + 6."""
    spec = make_spec(n_agents=3)
    batch = ragged_batch(spec, lengths=[1], terminal=[True])._replace(rewards=torch.tensor([[[6.0, 9.0, 12.0]]]))
    reward = build("algo=lomaq", "reward.smoothing_hops=1", spec=spec).reward.float()
    torch.testing.assert_close(reward(batch).rewards, torch.tensor([[[6.0, 12.0, 9.0]]]))


def test_it_is_off_by_default_and_blocks_are_paid_what_their_agents_are() -> None:
    batch = episodes()
    assert torch.equal(reward_of()(batch).rewards, batch.rewards)
    alone, pairs = reward_of("reward.smoothing_hops=1"), reward_of("reward.smoothing_hops=1", "partition=pairs")
    each = alone(batch).rewards
    expected = torch.stack([each[..., 0] + each[..., 1], each[..., 2] + each[..., 3], each[..., 4]], dim=-1)
    torch.testing.assert_close(pairs(batch).rewards, expected)


def test_a_negative_distance_is_refused() -> None:
    with pytest.raises(UserError, match=r"smoothing_hops=-1.*\n.*0"):
        reward_of("reward.smoothing_hops=-1")
