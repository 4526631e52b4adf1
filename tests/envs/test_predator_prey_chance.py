"""What chance does in Predator-Prey, and that a random policy earns what it earns in the public code."""

from collections import Counter
from math import hypot, sqrt
from typing import Any

import pytest
import torch

from marlpipe.envs.predator_prey import PredatorPreyState
from marlpipe.envs.predator_prey_hunt import Draws, draw
from tests.envs.hunting import CATCH, RIGHT, STAY, Board, Place, generator, index, play, random_actions, world


def evenly(counts: Counter[Any], among: int, n: int) -> bool:
    """Are n draws as uniform over `among` outcomes as they are in all but about one of a million cases?"""
    share = 1 / among
    return len(counts) == among and all(abs(k - n * share) < 5 * sqrt(n * share * (1 - share)) for k in counts.values())


@pytest.mark.parametrize(
    ("picture", "free"),
    [
        ("...  .a.  A..", [(1, 2), (2, 1), (1, 0), (0, 1)]),
        (".A.  .a.  ...", [(1, 2), (2, 1), (1, 0)]),
        (".A.  .a.  .B.", [(1, 2), (1, 0)]),
        ("a..  ...  A..", [(0, 1), (1, 0)]),
    ],
)
def test_prey_moves_uniformly_over_the_free_cells_beside_it(picture: str, free: list[Place]) -> None:
    env, state = Board.of(picture, copies=4000)
    after, _ = env.step(state, torch.full((4000, env.n_agents), STAY), generator())
    counts = Counter(after.prey[:, 0].tolist())
    assert set(counts) == {index(env, *place) for place in free}
    assert evenly(counts, len(free), 4000)


def test_orders_are_uniform_and_independent() -> None:
    n = 36_000
    predators, prey, directions = (field.tolist() for field in draw(n, 3, 3, generator()))
    assert evenly(Counter(tuple(a + b) for a, b in zip(predators, prey, strict=True)), 36, n)
    assert evenly(Counter(tuple(turns[1]) for turns in directions), 24, n)
    assert evenly(Counter((turns[0][0], turns[1][0], turns[2][0]) for turns in directions), 64, n)


def test_the_start() -> None:
    env, n = world(), 2000
    state = env.reset(n, generator())
    everyone = torch.cat((state.predators, state.prey), dim=1)
    assert all(len(set(cells)) == 16 for cells in everyone.tolist())
    assert state.hunting.all()
    assert state.alive.all()
    assert (state.elapsed == 0).all()
    floor = {index(env, row, column) for row in range(10) for column in range(10)}
    for individual in (0, 7, 8, 15):
        counts = Counter(everyone[:, individual].tolist())
        assert set(counts) == floor
        assert evenly(counts, 100, n)
    assert not torch.equal(everyone, everyone.sort(1).values)


def test_a_full_grid() -> None:
    env = world(rows=4, columns=4)
    state = env.reset(3, generator())
    full = torch.cat((state.predators, state.prey), dim=1)
    after, _ = env.step(state, torch.full((3, 8), RIGHT), generator())
    assert torch.equal(torch.cat((after.predators, after.prey), dim=1), full)


def test_catching_whenever_possible_never_pays_more_than_40() -> None:
    """Two predators for each of the prey that is caught, everyone else on a cell of its own, 10 for each capture."""
    env, random, copies = world(), generator(), 200
    state, returns = env.reset(copies, random), torch.zeros(copies)
    for _ in range(200):
        available = env.observe(state).avail_actions[..., CATCH]
        actions = random_actions(env, state, random, catch=False).masked_fill(available, CATCH)
        before = state
        state, timestep = env.step(state, actions, random)
        returns += timestep.rewards.sum(1)
        for now, then in ((state.hunting, before.hunting), (state.alive, before.alive)):
            assert not (now & ~then).any()
        caught = 8 - state.alive.sum(1)
        assert (8 - state.hunting.sum(1) >= 2 * caught).all()
        assert torch.equal(returns, 10.0 * caught)
    seen = env.observe(state).state.view(copies, 100, 3)
    assert (seen.sum(2) <= 1).all()
    assert torch.equal(seen.sum(1)[:, :2].long(), torch.stack((state.hunting.sum(1), state.alive.sum(1)), dim=1))
    assert returns.max() == 40
    assert returns.mean() > 20


def test_copies_do_not_meet() -> None:
    env, random = world(rows=5, columns=5), generator()
    together = env.reset(16, random)
    actions, draws = torch.randint(6, (16, 8), generator=random), draw(16, 8, 8, random)
    after, timestep = env.transition(together, actions, draws)
    for copy in range(16):
        alone = PredatorPreyState(*(field[copy : copy + 1] for field in together))
        own = Draws(*(field[copy : copy + 1] for field in draws))
        own_after, own_timestep = env.transition(alone, actions[copy : copy + 1], own)
        for batched, single in zip([*after, *timestep], [*own_after, *own_timestep], strict=True):
            assert torch.equal(batched[copy : copy + 1], single)


def test_the_seed_is_the_episode() -> None:
    env = world(time_limit=30, punishment=-1.0)
    returns, _ = play(env, 8, seed=1)
    assert torch.equal(returns, play(env, 8, seed=1)[0])
    assert not torch.equal(returns, play(env, 8, seed=2)[0])


def test_the_same_numbers_are_drawn_whatever_happens() -> None:
    env = world()
    states = []
    for action in (STAY, CATCH):
        random = generator()
        state = env.reset(4, random)
        env.step(state, torch.full((4, 8), action), random)
        states.append(random.get_state())
    assert torch.equal(*states)


def test_random_policy_as_in_the_public_code() -> None:
    """100 episodes of DCG's environment have these means and deviations: within two standard errors of both samples."""
    episodes = 400
    returns, captures = play(world(punishment=-1.0), episodes)
    escapes = 10 * captures - returns
    error = hypot(1 / sqrt(100), 1 / sqrt(episodes))
    assert captures.mean().item() == pytest.approx(0.55, abs=2 * captures.std().item() * error)
    for punishment, mean, deviation in [(0.0, 5.3, 6.0), (-0.5, -19.0, 10.0), (-1.5, -66.0, 19.0), (-2.0, -91.0, 24.0)]:
        paid = 10 * captures + punishment * escapes  # what is paid changes nothing in what a random policy does
        assert paid.mean().item() == pytest.approx(mean, abs=2 * deviation * error)
        assert paid.std().item() == pytest.approx(deviation, rel=0.25)


def test_who_never_catches_gets_nothing() -> None:
    returns, captures = play(world(punishment=-2.0), 50, catch=False)
    assert not returns.any()
    assert not captures.any()
