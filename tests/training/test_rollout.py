"""Whole episodes of many copies of a world at once."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.models.agents.recurrent import RecurrentAgent
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch, Observation, Timestep
from tests.support.synthetic import RaggedState, RaggedWorld

COPIES = 12


class Watched(FeedForwardAgent):
    """Remembers what it was asked while acting, and of whom."""

    tags: list[Tensor]
    seen: list[Tensor]
    utilities: list[Tensor]

    def step(self, obs: Tensor, last_actions: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = super().step(obs, last_actions, memory)
        self.tags.append(obs[:, 0, 0])
        self.seen.append(last_actions.clone())
        self.utilities.append(found[0])
        return found


class Token:
    """A state that cannot be cut into copies."""

    def __init__(self, state: RaggedState) -> None:
        self.state = state


class Simulator:
    """A world of tokens."""

    def __init__(self, world: RaggedWorld) -> None:
        self.world, self.spec = world, world.spec

    def reset(self, n: int, generator: torch.Generator) -> Token:
        return Token(self.world.reset(n, generator))

    def observe(self, state: Token) -> Observation:
        return self.world.observe(state.state)

    def step(self, state: Token, actions: Tensor, generator: torch.Generator) -> tuple[Token, Timestep]:
        after, timestep = self.world.step(state.state, actions, generator)
        return Token(after), timestep


def agent_for(world: Any, kind: Any = Watched) -> Any:
    torch.manual_seed(0)
    agent = kind(spec=world.spec, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True)
    agent.tags, agent.seen, agent.utilities = [], [], []
    return agent


def played(world: Any, epsilon: float = 0.5, seed: int = 0, kind: Any = FeedForwardAgent) -> EpisodeBatch:
    return rollout(world, agent_for(world, kind), COPIES, epsilon, torch.Generator().manual_seed(seed))


def truth(world: RaggedWorld, seed: int = 0) -> Any:
    """How long each copy lasts and how it ends: the first thing that is drawn."""
    return world.reset(COPIES, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(4))
def test_lengths_and_ends(seed: int) -> None:
    world = RaggedWorld()
    batch, known = played(world, seed=seed), truth(world, seed)
    assert torch.equal(batch.lengths, known.length)
    assert batch.valid.shape[1] == int(known.length.max())
    for b in range(COPIES):
        length = int(known.length[b])
        assert batch.valid[b].tolist() == [t < length for t in range(batch.valid.shape[1])]
        ends = [not bool(known.cut[b]) and t == length - 1 for t in range(batch.valid.shape[1])]
        assert batch.terminated[b].tolist() == ends
        assert batch.filled[b].sum() == length + 1
    assert known.cut.any()
    assert not known.cut.all()


def test_rewards_are_paid_while_an_episode_runs() -> None:
    """The reward of a step is the action taken in it and a noise below 1; afterwards the world returns nonsense."""
    batch = played(RaggedWorld())
    assert (batch.rewards[~batch.valid] == 0).all()
    noise = (batch.rewards - batch.actions)[batch.valid]
    assert ((noise >= 0) & (noise <= 1)).all()
    assert torch.equal(batch.team_rewards, batch.rewards.sum(-1))


def test_moments_are_in_step_with_transitions() -> None:
    world = RaggedWorld()
    batch, known = played(world), truth(world)
    moments = batch.obs.shape[1]
    assert moments == batch.valid.shape[1] + 1
    for t in range(moments):
        running = batch.filled[:, t]
        assert (batch.obs[running, t, :, 1] == t).all()
        assert (batch.obs[running, t, 0, 0] == known.tag[running]).all()
        assert (batch.state[running, t, 1] == t).all()
        expected = [action != t % 3 for action in range(3)]
        assert batch.avail_actions[running, t].tolist() == [[expected] * 2] * int(running.sum())


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
def test_actions_are_available(epsilon: float) -> None:
    batch = played(RaggedWorld(), epsilon)
    available = batch.avail_actions[:, :-1].gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1)
    assert available[batch.valid].all()


def test_without_exploration_the_best_available_action_is_taken() -> None:
    world = RaggedWorld()
    agent = agent_for(world)
    batch = rollout(world, agent, COPIES, 0.0, torch.Generator().manual_seed(0))
    for t, (tags, utilities) in enumerate(zip(agent.tags, agent.utilities, strict=True)):
        for b in batch.valid[:, t].nonzero().flatten().tolist():
            [row] = (tags == batch.obs[b, 0, 0, 0]).nonzero().flatten().tolist()
            for n in range(2):
                choices = [a for a in range(3) if a != t % 3]
                best = max(choices, key=lambda a: float(utilities[row, n, a]))
                assert int(batch.actions[b, t, n]) == best


def test_an_agent_is_told_its_last_action() -> None:
    world = RaggedWorld()
    agent = agent_for(world)
    batch = rollout(world, agent, COPIES, 1.0, torch.Generator().manual_seed(0))
    assert (agent.seen[0] == 3).all()  # none yet
    for t, (tags, told) in enumerate(zip(agent.tags[1:], agent.seen[1:], strict=True)):
        running = batch.valid[:, t + 1]
        rows = [int((tags == tag).nonzero()) for tag in batch.obs[running, 0, 0, 0]]
        assert torch.equal(told[rows], batch.actions[running, t])


@pytest.mark.parametrize("shortest", [1, 6])
def test_a_recurrent_agent_keeps_its_memory(shortest: int) -> None:
    """Greedy actions are those of the whole sequence, and differ from those without a memory."""
    world = RaggedWorld(shortest=shortest)
    agent = agent_for(world, partial(RecurrentAgent, gru=torch.nn.GRU))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.mul_(4.0)
    batch = rollout(world, agent, COPIES, 0.0, torch.Generator().manual_seed(0))
    none = torch.full_like(batch.actions[:, :1], 3)
    acted = torch.cat([none, batch.actions], dim=1)

    def greedy(obs: Tensor, last: Tensor) -> Tensor:
        utilities = agent(obs, last, torch.ones(obs.shape[:2], dtype=torch.bool))
        return utilities.masked_fill(~batch.avail_actions[:, -obs.shape[1] :], -1e9).argmax(-1)

    assert torch.equal(greedy(batch.obs, acted)[:, :-1][batch.valid], batch.actions[batch.valid])


def test_the_same_seed_gives_the_same_episodes() -> None:
    world = RaggedWorld()
    one, again, other = played(world, seed=3), played(world, seed=3), played(world, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_acting_builds_no_graph() -> None:
    assert not any(field.requires_grad for field in played(RaggedWorld()))


def test_padding_is_zero() -> None:
    batch = played(RaggedWorld())
    assert not batch.valid.all()
    for field in batch[:3]:
        assert (field[~batch.filled] == 0).all()
    for field in batch[3:]:
        assert (field[~batch.valid] == 0).all()


def test_ended_copies_are_left_out_when_they_are_a_quarter_of_all() -> None:
    world = RaggedWorld()
    agent = agent_for(world)
    batch = rollout(world, agent, COPIES, 0.5, torch.Generator().manual_seed(0))
    stepped, sizes = COPIES, []
    for running in batch.valid.sum(0).tolist():
        stepped = running if 4 * (stepped - running) >= stepped else stepped
        sizes.append(stepped)
    assert [len(tags) for tags in agent.tags] == sizes
    assert len(set(sizes)) > 2


def test_copies_of_a_world_that_cannot_be_cut_all_go_on() -> None:
    world = RaggedWorld()
    agent, among_all = agent_for(world), agent_for(world)
    batch = rollout(Simulator(world), among_all, COPIES, 0.0, torch.Generator().manual_seed(0))
    assert {len(tags) for tags in among_all.tags} == {COPIES}
    cut = rollout(world, agent, COPIES, 0.0, torch.Generator().manual_seed(0))
    for name in ("obs", "state", "avail_actions", "terminated", "valid"):
        assert torch.equal(getattr(batch, name), getattr(cut, name)), name


def test_autograd_can_save_what_was_played() -> None:
    batch = played(RaggedWorld())
    assert not any(field.is_inference() for field in batch)
    weight = torch.ones(2, requires_grad=True)
    (batch.obs * weight).sum().backward()
    assert weight.grad is not None
