"""The loaders: when episodes are collected, when a run is over, and how it goes on after a checkpoint."""

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.models.exploration import LinearEpsilon, epsilon_greedy
from marlpipe.training.loaders import EpisodeData, EvaluationLoader, TrainingLoader, evaluation_seed
from marlpipe.training.replay import Replay
from marlpipe.types import RunProgress, TrainingBatch
from tests.support.synthetic import RaggedWorld

CPU = torch.device("cpu")


def agent_for(world: RaggedWorld) -> FeedForwardAgent:
    torch.manual_seed(0)
    return FeedForwardAgent(spec=world.spec, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True)


def make(*, seed: int = 0, capacity: int = 16, **options: Any) -> TrainingLoader:
    world = RaggedWorld()
    settings: dict[str, Any] = {
        "batch_episodes": 4,
        "recent_share": 0.0,
        "recent_episodes": 1,
        "parallel_episodes": 2,
        "updates_per_rollout": 3,
        "env_steps": 60,
    }
    return TrainingLoader(
        env=world,
        agent=agent_for(world),
        exploration=LinearEpsilon(start=1.0, end=0.1, anneal_env_steps=50, action_sampler=epsilon_greedy),
        replay=Replay(spec=world.spec, capacity=capacity, device=CPU),
        generator=torch.Generator().manual_seed(seed),
        **{**settings, **options},
    )


def watch(loader: TrainingLoader) -> list[tuple[int, list[int]]]:
    """Replays' additions: after how many gradient steps, and the lengths of the episodes."""
    added: list[tuple[int, list[int]]] = []
    add = loader.replay.add

    def watched(batch: Any) -> None:
        added.append((loader.gradient_steps, batch.lengths.tolist()))
        add(batch)

    loader.replay.add = watched  # type: ignore[method-assign]
    return added


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("parallel", [1, 2, 4, 5])
def test_cadence(parallel: int, updates: int) -> None:
    """Warm-up until a batch can be drawn, then one rollout before every `updates` gradient steps."""
    loader = make(parallel_episodes=parallel, updates_per_rollout=updates)
    added = watch(loader)
    batches = list(loader)
    warm_up = math.ceil(4 / parallel)
    rollouts = len(batches) // updates
    assert [steps for steps, _ in added] == [0] * warm_up + [updates * k for k in range(1, rollouts)]
    assert len(batches) == rollouts * updates
    assert all(len(lengths) == parallel for _, lengths in added)
    assert all(len(batch.episodes.valid) == 4 for batch in batches)
    totals = [sum(sum(lengths) for _, lengths in added[: warm_up + k]) for k in range(rollouts)]
    assert [batch.progress.env_steps for batch in batches] == [total for total in totals for _ in range(updates)]
    assert [batch.progress.episodes for batch in batches[::updates]] == [
        parallel * (warm_up + k) for k in range(rollouts)
    ]
    assert [batch.progress.updates_left for batch in batches] == list(range(updates - 1, -1, -1)) * rollouts
    assert totals[-1] >= 60
    assert all(total < 60 for total in totals[:-1])
    assert [batch.progress.finished for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert len(batches) <= len(loader)
    assert list(loader) == []


@pytest.mark.parametrize("env_steps", [1, 7, 40])
@pytest.mark.parametrize("batch_episodes", [1, 9])
def test_the_length_is_an_upper_bound_whatever_the_episodes(env_steps: int, batch_episodes: int) -> None:
    for seed in range(5):
        loader = make(seed=seed, env_steps=env_steps, batch_episodes=batch_episodes)
        assert 1 <= len(list(loader)) <= len(loader)


def test_progress_tells_of_the_last_rollout() -> None:
    loader = make(parallel_episodes=4, batch_episodes=4, updates_per_rollout=1)
    added = watch(loader)
    steps_before = 0
    for index, batch in enumerate(loader):
        progress, lengths = batch.progress, added[index][1]
        assert progress.epsilon == pytest.approx(max(0.1, 1.0 - 0.9 * steps_before / 50))
        assert progress.train_length == sum(lengths) / 4
        steps_before = progress.env_steps
    # a batch as large as the only rollout there is holds that rollout
    first = next(iter(make(parallel_episodes=4, batch_episodes=4)))
    assert first.progress.train_return == pytest.approx(float(first.episodes.team_rewards.sum() / 4))


def test_nothing_is_collected_before_it_is_asked_for() -> None:
    loader = make()
    added = watch(loader)
    items = iter(loader)
    assert added == []
    next(items)
    assert len(added) == 2  # the warm-up
    next(items)
    next(items)
    assert len(added) == 2
    next(items)
    assert len(added) == 3


def test_episodes_are_acted_by_the_parameters_of_the_moment() -> None:
    """What the last gradient step left acts next: with a preference for action 2 it is all that is done."""
    loader = make(updates_per_rollout=1, env_steps=200)
    loader.exploration = LinearEpsilon(start=0.0, end=0.0, anneal_env_steps=0, action_sampler=epsilon_greedy)
    items = iter(loader)
    next(items)
    with torch.no_grad():
        loader.agent.output.bias.copy_(torch.tensor([0.0, 0.0, 1e3]))  # type: ignore[attr-defined]
    next(items)
    newest = (loader.replay.cursor - 1) % loader.replay.capacity
    actions, valid = loader.replay.episodes.actions[newest], loader.replay.episodes.valid[newest]
    possible = torch.tensor([t % 3 != 2 for t in range(6)])
    assert (actions[valid & possible] == 2).all()


def test_the_fast_share_of_a_batch_is_recent() -> None:
    loader = make(recent_share=0.5, recent_episodes=2, capacity=40, env_steps=100)
    added = watch(loader)
    tags: list[list[float]] = []
    for batch in loader:
        episodes = sum(len(lengths) for _, lengths in added)
        tags.append([float(tag) for tag in batch.episodes.obs[:, 0, 0, 0]])
        held = loader.replay.episodes.obs[:, 0, 0, 0]
        newest = {float(held[(episodes - 1 - age) % 40]) for age in range(2)}
        assert set(tags[-1][2:]) == newest
    assert len(tags) > 6


def test_the_same_seed_gives_the_same_run() -> None:
    assert all(same(a, b) for a, b in zip(make(seed=1), make(seed=1), strict=True))
    assert not same(next(iter(make(seed=1))), next(iter(make(seed=2))))


def same(one: TrainingBatch, other: TrainingBatch) -> bool:
    fields = zip(one.episodes, other.episodes, strict=True)
    return one.progress == other.progress and all(a.shape == b.shape and torch.equal(a, b) for a, b in fields)


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4, 9, 10])
def test_a_resumed_run_is_the_same_run(stop_after: int) -> None:
    """Also in the middle of the updates of a rollout, and with the ring wrapped around."""
    options: dict[str, Any] = {"recent_share": 0.5, "recent_episodes": 4, "capacity": 6}
    loader = make(seed=3, **options)
    items = iter(loader)
    for _ in range(stop_after):
        next(items)
    buffer = io.BytesIO()
    torch.save(loader.state_dict(), buffer)
    rest = list(items)
    buffer.seek(0)
    resumed = make(seed=99, **options)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    again = list(resumed)
    assert len(again) == len(rest) > 0
    assert all(same(a, b) for a, b in zip(rest, again, strict=True))


def test_a_finished_run_stays_finished() -> None:
    loader, again = make(), make()
    list(loader)
    again.load_state_dict(loader.state_dict())
    assert list(again) == []


def test_a_fresh_loader_has_done_nothing() -> None:
    progress = make().progress
    assert (progress.env_steps, progress.episodes, progress.epsilon, progress.finished) == (0, 0, 1.0, False)
    assert math.isnan(progress.train_return)


def evaluation(training: TrainingLoader, seed: int = 0) -> EvaluationLoader:
    return EvaluationLoader(
        env=training.env, agent=training.agent, episodes=5, seed=seed, device=CPU, training=training
    )


def episodes_of(loader: EvaluationLoader) -> list[Tensor]:
    [batch] = list(loader)
    return list(batch)


def test_evaluation_is_greedy_and_leaves_training_alone() -> None:
    training = make()
    before = training.generator.get_state()
    loader = evaluation(training)
    assert len(loader) == 1
    [batch] = list(loader)
    assert len(batch.valid) == 5
    assert torch.equal(training.generator.get_state(), before)
    acted = torch.cat([torch.full_like(batch.actions[:, :1], 3), batch.actions], dim=1)
    utilities = training.agent(batch.obs, acted, batch.filled)
    greedy = utilities.masked_fill(~batch.avail_actions, -1e9).argmax(-1)[:, :-1]
    assert torch.equal(greedy[batch.valid], batch.actions[batch.valid])


def test_evaluation_depends_on_seed_and_progress_alone() -> None:
    training = make()
    first, again, other = (episodes_of(evaluation(training, seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][:, 0], other[0][:, 0])
    training.progress = RunProgress(100, 0, 0.0, 0.0, 0.0, 0, False)
    assert not torch.equal(first[0][:, 0], episodes_of(evaluation(training))[0][:, 0])


def test_evaluation_seeds_do_not_meet() -> None:
    seeds = [evaluation_seed(seed, steps) for seed in range(20) for steps in range(0, 4_000_000, 100_000)]
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)  # torch's CPU generator ignores higher bits
    assert not set(seeds) & set(range(1000))  # none is a training seed


def test_the_data_module_hands_out_both() -> None:
    training = make()
    data = EpisodeData(training, evaluation(training))
    assert data.train_dataloader() is training
    assert data.val_dataloader() is data.evaluation
