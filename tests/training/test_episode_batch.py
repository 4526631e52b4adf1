"""What a batch of episodes tells of itself."""

import torch

from tests.support.synthetic import make_spec, ragged_batch


def test_first_episodes_are_cut_to_their_own_length() -> None:
    batch = ragged_batch(make_spec(), lengths=[2, 1, 7], terminal=[True, True, True])
    first = batch.first(2)
    assert first.valid.shape == (2, 2)
    assert first.obs.shape[:2] == (2, 3)
    torch.testing.assert_close(first.rewards, batch.rewards[:2, :2])
    assert batch.first(9).valid.shape == (3, 7)


def test_the_last_action_is_none_at_first() -> None:
    batch = ragged_batch(make_spec(n_agents=2, n_actions=4), lengths=[2], terminal=[True])
    batch = batch._replace(actions=torch.tensor([[[1, 2], [3, 0]]]))
    assert batch.last_actions.tolist() == [[[4, 4], [1, 2], [3, 0]]]
