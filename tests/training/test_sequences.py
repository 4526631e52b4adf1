"""Pieces of episodes: every time step is as likely as any other, and a piece is what the episode has there."""

import signal
from pathlib import Path

import pytest
import torch

from marlpipe.config.check import check_run
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.replay import Replay
from marlpipe.training.sequences import draw_sequences
from marlpipe.types import EpisodeBatch
from tests.support.composition import compose
from tests.support.synthetic import make_spec, ragged_batch
from tests.training.test_resume import equal, stopping, trained

SPEC = make_spec()
LENGTHS = [7, 1, 4, 2]


def filled(sequence_steps: int | None) -> tuple[Replay, EpisodeBatch]:
    """Four episodes, which all rewards tell apart."""
    episodes = ragged_batch(SPEC, lengths=LENGTHS, terminal=[False, True, True, False])
    places = torch.arange(episodes.rewards.numel()).view_as(episodes.rewards)
    episodes = episodes._replace(rewards=places.float() * episodes.valid.unsqueeze(-1))
    replay = Replay(spec=SPEC, capacity=6, device=torch.device("cpu"), sequence_steps=sequence_steps)
    replay.add(episodes)
    return replay, episodes


@pytest.mark.parametrize("steps", [1, 3, 9])
def test_every_transition_is_as_likely_as_any_other(steps: int) -> None:
    lengths = torch.tensor(LENGTHS)
    drawn = draw_sequences(lengths, steps, 60_000, torch.Generator().manual_seed(0))
    times = torch.zeros(len(LENGTHS), max(LENGTHS))
    for ahead in range(steps):
        there = ahead < drawn.lengths
        times.index_put_((drawn.episodes[there], drawn.begins[there] + ahead), torch.ones(()), accumulate=True)
    exists = torch.arange(max(LENGTHS)) < lengths.unsqueeze(1)
    assert (times[~exists] == 0).all()
    expected = 60_000 * steps / sum(length + steps - 1 for length in LENGTHS)
    assert times[exists].tolist() == pytest.approx([expected] * sum(LENGTHS), rel=0.06)  # five standard deviations
    assert (drawn.lengths >= 1).all()
    assert (drawn.lengths <= steps).all()


@pytest.mark.parametrize("recent", [0, 5, 20])
def test_a_piece_is_what_its_episode_has_there(recent: int) -> None:
    replay, episodes = filled(3)
    pieces = replay.sample(20, torch.Generator().manual_seed(1), recent=recent, window=2)
    assert pieces.obs.shape[:2] == (20, pieces.valid.shape[1] + 1)
    found = []
    for number in range(20):
        length = int(pieces.lengths[number])
        first = pieces.rewards[number, 0, 0]
        episode, at = (int(place[0]) for place in torch.where((episodes.rewards[..., 0] == first) & episodes.valid))
        found.append(episode)
        assert 1 <= length <= 3
        for name in ("rewards", "actions", "terminated"):
            ours, theirs = getattr(pieces, name)[number, :length], getattr(episodes, name)[episode, at : at + length]
            assert torch.equal(ours, theirs.to(ours.dtype))
        for name in ("obs", "state", "avail_actions"):
            ours = getattr(pieces, name)[number, : length + 1]
            assert torch.equal(ours, getattr(episodes, name)[episode, at : at + length + 1].to(ours.dtype))
        assert not pieces.valid[number, length:].any()
        assert not pieces.terminated[number, length:].any()
    assert set(found[20 - recent :]) <= {2, 3}  # the last two that were added


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.usefixtures("unchecked")
def test_a_run_on_pieces_that_is_stopped_goes_on_with_the_same_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = ("profile=fast", "algo=qpro", "env_steps=110", "env.n_agents=2", "profile.sequence_steps=3")
    whole, stopped = trained(tmp_path / "whole", *fast), RunFolder(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        steps = stopping(patch, signal.SIGUSR2)
        while stopped.status.state != "finished":
            trained(stopped.path, *fast)
    assert len(steps) > 10
    assert equal(whole, stopped)


def test_an_agent_that_reads_history_takes_no_pieces() -> None:
    for words in (("agent=rnn",), ("agent=feedforward", "agent.obs_last_action=true")):
        with pytest.raises(
            UserError, match=r"profile\.sequence_steps=16: the agent reads an episode from its beginning"
        ):
            check_run(compose("algo=qmix", "profile.sequence_steps=16", *words))
    check_run(compose("algo=qmix", "profile.sequence_steps=16", "agent=feedforward"))
    check_run(compose("algo=qmix", "profile=fast"))
    check_run(compose("algo=pac", "profile=fast"))  # whose agent is another one's, clamped


def test_all_episodes_are_whole() -> None:
    replay, episodes = filled(2)
    assert torch.equal(replay.collected().rewards, episodes.rewards)
