"""A ring of whole episodes."""

import io
from collections import Counter
from dataclasses import replace

import pytest
import torch

from marlpipe.training.replay import Replay
from marlpipe.types import EpisodeBatch
from tests.support.synthetic import make_spec, ragged_batch

SPEC = make_spec(n_agents=2, n_actions=3, obs_dim=2, state_dim=2, horizon=6)


def make(capacity: int = 5) -> Replay:
    return Replay(spec=SPEC, capacity=capacity, device=torch.device("cpu"))


def tagged(tags: list[int], lengths: list[int] | None = None) -> EpisodeBatch:
    """Episodes whose first reward is their tag."""
    lengths = lengths or [1 + tag % 6 for tag in tags]
    batch = ragged_batch(SPEC, lengths=lengths, terminal=[tag % 2 == 0 for tag in tags], seed=tags[0])
    batch.rewards[:, 0] = torch.tensor(tags).float().unsqueeze(-1)
    return batch


def filled(capacity: int, count: int, at_once: int = 1) -> Replay:
    replay = make(capacity)
    for start in range(0, count, at_once):
        replay.add(tagged(list(range(start, start + at_once))))
    return replay


def draw(replay: Replay, n: int, *, recent: int = 0, window: int = 1, seed: int = 0) -> list[int]:
    batch = replay.sample(n, torch.Generator().manual_seed(seed), recent=recent, window=window)
    return [int(tag) for tag in batch.rewards[:, 0, 0]]


@pytest.mark.parametrize(("count", "at_once"), [(5, 1), (8, 1), (14, 2), (9, 3), (30, 5)])
def test_the_newest_episodes_stay(count: int, at_once: int) -> None:
    replay = filled(5, count, at_once)
    assert replay.size == 5
    assert sorted(draw(replay, 5)) == list(range(count - 5, count))


def test_a_ring_that_is_not_full_holds_what_was_added() -> None:
    replay = filled(5, 3)
    assert replay.size == 3
    assert sorted(draw(replay, 3)) == [0, 1, 2]


def test_episodes_come_back_as_they_went_in() -> None:
    replay = make()
    batch = tagged([4, 2, 5], lengths=[5, 3, 6])
    replay.add(batch)
    sampled = replay.sample(3, torch.Generator().manual_seed(0), recent=0, window=1)
    order = torch.tensor([[4, 2, 5].index(int(tag)) for tag in sampled.rewards[:, 0, 0]])
    for found, given in zip(sampled, batch, strict=True):
        assert found.dtype == given.dtype
        assert torch.equal(found, given[order])


def test_samples_are_distinct_and_uniform() -> None:
    replay, counts = filled(5, 9), Counter[int]()
    for seed in range(400):
        tags = draw(replay, 2, seed=seed)
        assert len(set(tags)) == 2
        counts.update(tags)
    assert set(counts) == {4, 5, 6, 7, 8}
    assert all(110 < count < 210 for count in counts.values())  # 160 each on average, with a deviation of 10


@pytest.mark.parametrize("count", [4, 7, 8, 10, 23])
def test_the_recent_part_comes_from_the_last_episodes(count: int) -> None:
    replay, recent = filled(8, count), Counter[int]()
    for seed in range(60):
        tags = draw(replay, 4, recent=2, window=3, seed=seed)
        assert len(tags) == 4
        recent.update(tags[2:])
        assert len(set(tags[:2])) == len(set(tags[2:])) == 2
        assert all(tag >= count - 8 for tag in tags)
    assert set(recent) == {count - 3, count - 2, count - 1}


def test_all_of_a_batch_can_be_recent() -> None:
    assert sorted(draw(filled(8, 11), 3, recent=3, window=3)) == [8, 9, 10]


def test_a_window_larger_than_the_replay_is_all_of_it() -> None:
    assert sorted(draw(filled(8, 4), 4, recent=4, window=100)) == [0, 1, 2, 3]


def test_batches_are_as_long_as_their_longest_episode() -> None:
    replay = make()
    replay.add(tagged([0, 1], lengths=[2, 6]))
    replay.add(tagged([2], lengths=[3]))
    lengths = {0: 2, 1: 6, 2: 3}
    for seed in range(10):
        batch = replay.sample(2, torch.Generator().manual_seed(seed), recent=0, window=1)
        longest = max(lengths[int(tag)] for tag in batch.rewards[:, 0, 0])
        assert batch.valid.shape[1] == batch.actions.shape[1] == longest
        assert batch.obs.shape[1] == batch.state.shape[1] == batch.avail_actions.shape[1] == longest + 1


def test_nothing_is_left_of_what_was_there_before() -> None:
    replay = make(1)
    replay.add(tagged([3], lengths=[6]))
    replay.add(tagged([7], lengths=[2]))
    for field in replay.episodes:
        assert (field[0, 3:] == 0).all()


def test_samples_are_copies() -> None:
    replay = filled(5, 5)
    replay.sample(5, torch.Generator().manual_seed(0), recent=0, window=1).rewards.fill_(-1.0)
    assert sorted(draw(replay, 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [3, 5, 7, 12])
def test_a_loaded_replay_goes_on_like_the_saved_one(count: int) -> None:
    replay, loaded = filled(5, count), filled(5, 4)
    buffer = io.BytesIO()
    torch.save(replay.state_dict(), buffer)
    buffer.seek(0)
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    for start in (100, 103):
        assert loaded.size == replay.size
        for seed in range(10):
            one, other = (
                ring.sample(3, torch.Generator().manual_seed(seed), recent=1, window=2) for ring in (replay, loaded)
            )
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        for ring in (replay, loaded):
            ring.add(tagged([start, start + 1, start + 2]))


@pytest.mark.parametrize("count", [0, 3, 5, 8])
def test_a_state_is_the_filled_part_of_the_rings_own_memory(count: int) -> None:
    """Neither a copy, nor a view whose storage, which is what is saved, goes on behind it."""
    replay = filled(5, count)
    state = replay.state_dict()["episodes"]
    assert set(state) == set(EpisodeBatch._fields)
    for name, ring in replay.episodes._asdict().items():
        assert state[name].dtype == ring.dtype
        assert torch.equal(state[name], ring[: min(count, 5)])
        assert state[name].untyped_storage().nbytes() == state[name].nbytes
        if count:
            assert state[name].data_ptr() == ring.data_ptr()


def test_a_saved_state_is_as_large_as_its_tensors() -> None:
    replay, buffer = filled(500, 250, 5), io.BytesIO()
    torch.save(replay.state_dict(), buffer)
    tensors = sum(tensor.nbytes for tensor in replay.state_dict()["episodes"].values())
    assert tensors < len(buffer.getvalue()) < tensors + 5000


def test_a_checkpoint_holds_the_filled_part_only() -> None:
    def saved(replay: Replay) -> int:
        buffer = io.BytesIO()
        torch.save(replay.state_dict(), buffer)
        return len(buffer.getvalue())

    assert saved(filled(5000, 4)) < 1.5 * saved(filled(4, 4))


def test_actions_are_kept_small() -> None:
    assert make().episodes.actions.dtype == torch.uint8
    many = make_spec(n_agents=2, n_actions=300, horizon=3)
    replay = Replay(spec=many, capacity=2, device=torch.device("cpu"))
    assert replay.episodes.actions.dtype == torch.int16
    batch = ragged_batch(many, lengths=[3, 3], terminal=[True, True])
    batch.actions[:] = 299
    replay.add(batch)
    assert (replay.sample(2, torch.Generator(), recent=0, window=1).actions == 299).all()


COMPACT = replace(SPEC, state_in_obs=torch.tensor([3, 0]), kept_as=torch.uint8)


def compact(lengths: list[int], seed: int = 0) -> EpisodeBatch:
    """Episodes in small whole numbers, whose state is what agent 1 sees last and what agent 0 sees first."""
    batch = ragged_batch(COMPACT, lengths=lengths, terminal=[True] * len(lengths), seed=seed)
    obs = (50 * batch.obs).round().clamp(0, 255)
    return batch._replace(obs=obs, state=torch.stack([obs[:, :, 1, 1], obs[:, :, 0, 0]], dim=2))


def test_what_the_spec_allows_is_kept_small_and_comes_back_as_it_was() -> None:
    replay, batch = Replay(spec=COMPACT, capacity=3, device=torch.device("cpu")), compact([5, 2, 6])
    replay.add(batch)
    assert replay.episodes.obs.dtype == torch.uint8
    assert replay.episodes.state.numel() == 0
    order = torch.randperm(3, generator=torch.Generator().manual_seed(0))
    sampled = replay.sample(3, torch.Generator().manual_seed(0), recent=0, window=1)
    assert sampled.state.any()
    for found, given in zip(sampled, batch, strict=True):
        assert found.dtype == given.dtype
        assert torch.equal(found, given[order])


def test_a_checkpoint_holds_what_is_kept() -> None:
    replay = Replay(spec=COMPACT, capacity=4, device=torch.device("cpu"))
    loaded = Replay(spec=COMPACT, capacity=4, device=torch.device("cpu"))
    replay.add(compact([6, 3]))
    buffer = io.BytesIO()
    torch.save(replay.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert state["episodes"]["obs"].dtype == torch.uint8
    assert state["episodes"]["state"].numel() == 0
    loaded.load_state_dict(state)
    for ring in (replay, loaded):
        ring.add(compact([4], seed=1))
    one, other = (ring.sample(3, torch.Generator().manual_seed(1), recent=1, window=2) for ring in (replay, loaded))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
