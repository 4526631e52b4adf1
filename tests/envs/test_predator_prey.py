"""Predator-Prey by hand, against a plain loop over individuals, and calibrated on the public code's returns."""

from collections import Counter
from math import hypot, sqrt
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple

import pytest
import torch
from composition import compose
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe import graphs
from marlpipe.envs.hunt import Draws, draw
from marlpipe.envs.predator_prey import PredatorPrey, PredatorPreyState
from marlpipe.errors import UserError
from marlpipe.scene import Disc, Line
from marlpipe.types import Env, Timestep

CONFIG = Path(__file__).parents[2] / "conf" / "env" / "predator_prey.yaml"
RIGHT, DOWN, LEFT, UP, STAY, CATCH = range(6)
STEPS = {RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1), UP: (-1, 0)}
PUNISHMENTS = {"predator_prey": 0.0, "predator_prey_p05": -0.5, "predator_prey_p15": -1.5, "predator_prey_p2": -2.0}


def world(**changes: Any) -> PredatorPrey:
    defaults: dict[str, Any] = {
        "n_agents": 8,
        "n_prey": 8,
        "rows": 10,
        "columns": 10,
        "view": 5,
        "time_limit": 200,
        "capture_reward": 10.0,
        "punishment": 0.0,
        "catch_threshold": 2,
        "hare_channel": True,
        "time_limit_is_terminal": False,
    }
    return PredatorPrey(**(defaults | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


Place = tuple[int, int]  # row and column on the floor


class Board(NamedTuple):
    """A world that is drawn: A is predator 0, a is prey 0, a point is a free cell."""

    env: PredatorPrey
    state: PredatorPreyState

    @classmethod
    def of(cls, picture: str, *, copies: int = 1, **changes: Any) -> "Board":
        rows = picture.split()
        found = {sign: (r, c) for r, row in enumerate(rows) for c, sign in enumerate(row) if sign != "."}
        groups = [
            [found[sign] for sign in alphabet if sign in found] for alphabet in (ascii_uppercase, ascii_lowercase)
        ]
        sizes = {"n_agents": len(groups[0]), "n_prey": len(groups[1]), "rows": len(rows), "columns": len(rows[0])}
        env = world(**(sizes | {"punishment": -2.0} | changes))
        predators, prey = (torch.tensor([index(env, *place) for place in group]) for group in groups)
        state = PredatorPreyState(
            predators=predators.expand(copies, -1),
            prey=prey.expand(copies, -1),
            hunting=torch.ones((copies, env.n_agents), dtype=torch.bool),
            alive=torch.ones((copies, env.n_prey), dtype=torch.bool),
            elapsed=torch.zeros(copies, dtype=torch.long),
        )
        return cls(env, state)

    def play(
        self, actions: dict[str, int], order: str = "", prey_order: str = "", directions: str = "right down left up"
    ) -> tuple["Board", Timestep]:
        """A step in which all stay who are not named, prey prefers `directions`, and turns come in these orders."""
        joint = [actions.get(sign, STAY) for sign in ascii_uppercase[: self.env.n_agents]]
        names = ["right", "down", "left", "up"]
        copies = len(self.state.elapsed)
        turns = [ascii_uppercase.index(sign) for sign in order or ascii_uppercase[: self.env.n_agents]]
        prey_turns = [ascii_lowercase.index(sign) for sign in prey_order or ascii_lowercase[: self.env.n_prey]]
        preferred = [names.index(name) for name in directions.split()]
        draws = Draws(
            torch.tensor(turns).expand(copies, -1),
            torch.tensor(prey_turns).expand(copies, -1),
            torch.tensor(preferred).expand(copies, self.env.n_prey, -1),
        )
        after, timestep = self.env.transition(self.state, torch.tensor(joint).expand(copies, -1), draws)
        return Board(self.env, after), timestep

    def where(self, signs: str) -> list[Place | None]:
        """Rows and columns of those named, None for who is out of the game."""
        predators, prey = places(self.env, self.state, 0)
        return [(predators + prey)[(ascii_uppercase[: self.env.n_agents] + ascii_lowercase).index(s)] for s in signs]


def index(env: PredatorPrey, row: int, column: int) -> int:
    """The cell of a place on the floor, in a wall as thick as the view reaches, and 1 at least."""
    border = max(1, env.view // 2)
    return (row + border) * (env.columns + 2 * border) + column + border


def places(env: PredatorPrey, state: PredatorPreyState, copy: int) -> tuple[list[Place | None], list[Place | None]]:
    """Rows and columns of predators and prey of one copy, None for who is out of the game."""
    border = max(1, env.view // 2)

    def of(cells: Tensor, present: Tensor) -> list[Place | None]:
        found = [divmod(cell, env.columns + 2 * border) for cell in cells[copy].tolist()]
        return [(r - border, c - border) if here else None for (r, c), here in zip(found, present[copy], strict=True)]

    return of(state.predators, state.hunting), of(state.prey, state.alive)


def random_actions(env: PredatorPrey, state: PredatorPreyState, random: torch.Generator, *, catch: bool) -> Tensor:
    """Uniform among the available ones, of which catching may be left out."""
    available = env.observe(state).avail_actions.flatten(0, 1).float()
    available[:, CATCH] *= catch
    return torch.multinomial(available, 1, generator=random).view(-1, env.n_agents)


def play(env: PredatorPrey, copies: int, *, catch: bool = True, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Returns and captures (B) of one random episode in each copy."""
    random = generator(seed)
    state, live = env.reset(copies, random), torch.ones(copies, dtype=torch.bool)
    returns, captures = torch.zeros(copies), torch.zeros(copies)
    while live.any():
        before = state.alive.sum(1)
        state, timestep = env.step(state, random_actions(env, state, random, catch=catch), random)
        returns += timestep.rewards.sum(1) * live
        captures += (before - state.alive.sum(1)) * live
        live &= ~(timestep.terminated | timestep.truncated)
    return returns, captures


def seen_in(picture: str, channels: int) -> list[float]:
    """What is seen of the cells of a picture, row by row."""
    contents = [(sign.isupper(), sign.islower(), False)[:channels] for sign in picture if not sign.isspace()]
    return [float(content) for cell in contents for content in cell]


def plus(place: Place, step: tuple[int, int]) -> Place:
    return place[0] + step[0], place[1] + step[1]


class Loop:
    """One copy of the world, one individual after the other and cell by cell, with nothing but lists of places."""

    def __init__(self, env: PredatorPrey, predators: list[Place | None], prey: list[Place | None]) -> None:
        self.env, self.predators, self.prey = env, predators, prey
        self.blocked = self.caught = self.escaped = 0

    def inside(self, place: Place) -> bool:
        return 0 <= place[0] < self.env.rows and 0 <= place[1] < self.env.columns

    def free(self, place: Place) -> bool:
        return self.inside(place) and place not in self.predators and place not in self.prey

    def step(self, actions: list[int], predator_order: list[int], prey_order: list[int], directions: Any) -> float:
        """The reward."""
        reward = 0.0
        for i in predator_order:
            here = self.predators[i]
            if here is not None and actions[i] in STEPS:
                there = plus(here, STEPS[actions[i]])
                if self.free(there):
                    self.predators[i] = there
                else:
                    self.blocked += 1
        for j, preferred in zip(prey_order, directions, strict=True):
            here = self.prey[j]
            if here is None:
                continue
            around = [plus(here, step) for step in STEPS.values()]
            catchers = [i for i, place in enumerate(self.predators) if place in around and actions[i] == CATCH]
            if len(catchers) >= self.env.catch_threshold:
                reward += self.env.capture_reward
                self.caught += 1
                self.prey[j] = None
                for i in catchers:
                    self.predators[i] = None
                continue
            if catchers:
                reward += self.env.punishment
                self.escaped += 1
            self.prey[j] = next((around[d] for d in preferred if self.free(around[d])), here)
        return reward

    def cell(self, place: Place) -> list[float]:
        contents = [float(place in self.predators), float(place in self.prey)]
        return contents + [0.0] * self.env.hare_channel

    def obs(self, i: int) -> list[float]:
        here, radius = self.predators[i], self.env.view // 2
        if here is None:
            return [0.0] * self.env.spec.obs_dim
        reach = range(-radius, radius + 1)
        return [number for down in reach for right in reach for number in self.cell(plus(here, (down, right)))]

    def state(self) -> list[float]:
        floor = [(row, column) for row in range(self.env.rows) for column in range(self.env.columns)]
        return [number for place in floor for number in self.cell(place)]

    def avail_actions(self, i: int) -> list[bool]:
        here = self.predators[i]
        if here is None:
            return [False, False, False, False, True, False]
        around = [plus(here, step) for step in STEPS.values()]
        return [*(self.inside(place) for place in around), True, any(place in self.prey for place in around)]


@pytest.mark.parametrize(
    "changes",
    [
        {"n_agents": 8},
        {"rows": 4, "columns": 5, "n_agents": 6, "n_prey": 5, "view": 3},
        {"rows": 3, "columns": 7, "n_agents": 8, "n_prey": 3, "view": 7, "hare_channel": False, "catch_threshold": 3},
        {"rows": 5, "columns": 3, "n_agents": 2, "n_prey": 9, "view": 1, "catch_threshold": 1},
        {"rows": 1, "columns": 9, "n_agents": 4, "n_prey": 3, "punishment": 0.0},
    ],
    ids=["default", "crowded", "three needed", "one suffices", "a corridor"],
)
def test_as_a_loop_over_individuals(changes: dict[str, Any]) -> None:
    """Any actions, available or not; the random numbers are the same."""
    env, random, copies = world(**({"punishment": -1.5} | changes)), generator(), 40
    blocked = caught = escaped = 0
    for _ in range(4):
        state = env.reset(copies, random)
        loops = [Loop(env, *places(env, state, copy)) for copy in range(copies)]
        for elapsed in range(1, 11):
            actions = torch.randint(9, (copies, env.n_agents), generator=random).clamp(max=CATCH)
            draws = draw(copies, env.n_agents, env.n_prey, random)
            state, timestep = env.transition(state, actions, draws)
            told = zip(loops, actions.tolist(), *(field.tolist() for field in draws), strict=True)
            rewards = [loop.step(*given) for loop, *given in told]
            assert timestep.rewards[:, 0].tolist() == rewards
            assert not timestep.rewards[:, 1:].any()
            over = [not any(loop.predators) or not any(loop.prey) for loop in loops]
            assert timestep.terminated.tolist() == over
            assert [places(env, state, copy) for copy in range(copies)] == [(x.predators, x.prey) for x in loops]
            seen = env.observe(state)
            assert seen.obs.tolist() == [[loop.obs(i) for i in range(env.n_agents)] for loop in loops]
            assert seen.state.tolist() == [loop.state() for loop in loops]
            assert seen.avail_actions.tolist() == [[x.avail_actions(i) for i in range(env.n_agents)] for x in loops]
            assert (state.elapsed == elapsed).all()
        blocked += sum(loop.blocked for loop in loops)
        caught += sum(loop.caught for loop in loops)
        escaped += sum(loop.escaped for loop in loops)
    assert blocked > 100
    assert caught > 20
    assert escaped > 100 or env.catch_threshold == 1


@pytest.mark.parametrize("copies", [1, 37])
def test_sizes(copies: int) -> None:
    env: Env[PredatorPreyState] = world()
    seen = env.observe(env.reset(copies, generator()))
    assert seen.obs.shape == (copies, 8, env.spec.obs_dim) == (copies, 8, 75)
    assert seen.state.shape == (copies, env.spec.state_dim) == (copies, 300)
    assert seen.avail_actions.shape == (copies, 8, env.spec.n_actions) == (copies, 8, 6)
    assert (env.spec.n_agents, env.spec.horizon, env.spec.local_rewards) == (8, 200, False)
    assert torch.equal(env.spec.graph, graphs.complete(8))


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("catchers", ["AB", "CD", "ABD", "ABCD"])
def test_a_catch_pays_10_and_removes_exactly_the_catchers_beside_the_prey(catchers: str, copies: int) -> None:
    """E catches as well, but is beside nobody, and is not punished for that either."""
    board = Board.of(".A..E  BaC..  .D..b", copies=copies)
    board, timestep = board.play(dict.fromkeys(catchers + "E", CATCH), prey_order="ba")
    assert timestep.rewards.tolist() == [[10, 0, 0, 0, 0]] * copies
    assert board.state.hunting.tolist() == [[sign not in catchers for sign in "ABCDE"]] * copies
    assert board.state.alive.tolist() == [[False, True]] * copies
    assert not (timestep.terminated | timestep.truncated).any()


@pytest.mark.parametrize("punishment", [-0.5, -2.0])
def test_a_lone_catch_is_punished_and_the_prey_moves(punishment: float) -> None:
    board = Board.of("...  Aa.  .B.", punishment=punishment)
    board, timestep = board.play({"A": CATCH}, directions="down up right left")
    assert timestep.rewards.tolist() == [[punishment, 0]]
    assert board.where("ABa") == [(1, 0), (2, 1), (0, 1)]


def test_prey_that_nobody_tries_to_catch_moves_for_free() -> None:
    board, timestep = Board.of("...  AaB  ...").play({}, directions="right down left up")
    assert timestep.rewards.tolist() == [[0, 0]]
    assert board.where("ABa") == [(1, 0), (1, 2), (2, 1)]


def test_prey_without_a_free_cell_beside_it_stays() -> None:
    board, timestep = Board.of("aA.  B..  ...").play({"A": CATCH})
    assert timestep.rewards.tolist() == [[-2, 0]]
    assert board.where("ABa") == [(0, 1), (1, 0), (0, 0)]


@pytest.mark.parametrize(("prey_order", "reward", "b"), [("ab", 10, (0, 2)), ("ba", 10 - 2, (0, 3))])
def test_a_predator_between_two_prey_counts_for_both_until_it_is_removed(
    prey_order: str, reward: float, b: Place
) -> None:
    """A is removed with a, and b moves into its cell; if b comes first, A fails to catch it and is in its way."""
    board, timestep = Board.of("BaAb").play({"A": CATCH, "B": CATCH}, prey_order=prey_order)
    assert timestep.rewards.tolist() == [[reward, 0]]
    assert board.where("ABab") == [None, None, None, b]


def test_the_cell_of_caught_prey_is_free_at_once() -> None:
    board, _ = Board.of(".AC  Bab").play({"A": CATCH, "B": CATCH}, prey_order="ab")
    assert board.where("Cab") == [(0, 2), None, (1, 1)]


def test_two_captures_in_one_step() -> None:
    board, timestep = Board.of("AaB  ...  CbD").play(dict.fromkeys("ABCD", CATCH))
    assert timestep.rewards.tolist() == [[20, 0, 0, 0]]
    assert board.where("ABCDab") == [None] * 6


def test_predators_act_before_prey() -> None:
    """A makes way, and the prey goes where it was; B comes, and is in the prey's way."""
    board, _ = Board.of("...  .aA  ...").play({"A": UP}, directions="right down left up")
    assert board.where("Aa") == [(0, 2), (1, 2)]
    board, _ = Board.of("..B  .a.  A..").play({"B": DOWN}, directions="right down left up")
    assert board.where("Ba") == [(1, 2), (2, 1)]


def test_who_is_out_of_the_game_has_no_say_and_is_in_nobodys_way() -> None:
    board, _ = Board.of("BaAC.  .....  ....b").play({"A": CATCH, "B": CATCH})
    assert board.where("ABCab") == [None, None, (0, 3), None, (2, 3)]
    steps = [(LEFT, (0, 2)), (CATCH, (0, 2)), (LEFT, (0, 1)), (LEFT, (0, 0))]
    for action, place in steps:
        board, timestep = board.play({"A": CATCH, "B": RIGHT, "C": action})
        assert timestep.rewards.tolist() == [[0, 0, 0]]
        assert board.where("ABCa") == [None, None, place, None]


@pytest.mark.parametrize(("order", "after"), [("AB", [(0, 0), (0, 2)]), ("BA", [(0, 1), (0, 2)])])
def test_a_predator_follows_into_a_cell_only_once_it_was_left(order: str, after: list[Place]) -> None:
    board, _ = Board.of("AB...a").play({"A": RIGHT, "B": RIGHT}, order=order)
    assert board.where("AB") == after


@pytest.mark.parametrize(("order", "after"), [("AB", [(0, 1), (0, 2)]), ("BA", [(0, 0), (0, 1)])])
def test_of_two_that_want_a_cell_the_first_in_turn_gets_it(order: str, after: list[Place]) -> None:
    board, _ = Board.of("A.B..a").play({"A": RIGHT, "B": LEFT}, order=order)
    assert board.where("AB") == after


@pytest.mark.parametrize(
    ("picture", "move"),
    [("Aa.", RIGHT), ("AB.a", RIGHT), ("A.a", LEFT), ("A.a", UP), ("A.a", DOWN), ("a.A", RIGHT)],
)
def test_moves_into_prey_predators_and_walls_fail(picture: str, move: int) -> None:
    board = Board.of(picture)
    assert board.play({"A": move})[0].where("A") == board.where("A")


@pytest.mark.parametrize(("move", "after"), [(RIGHT, (1, 2)), (DOWN, (2, 1)), (LEFT, (1, 0)), (UP, (0, 1))])
def test_moves(move: int, after: Place) -> None:
    board, _ = Board.of("a..  .A.  ...").play({"A": move}, directions="left up right down")
    assert board.where("A") == [after]


def test_available_actions() -> None:
    """Moves that stay on the grid even if the cell is taken, staying, and catching beside a prey."""
    board = Board.of("A.B  ..a  C.D")
    assert board.env.observe(board.state).avail_actions.int().tolist() == [
        [[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    ]
    board, _ = board.play({"B": CATCH, "D": CATCH})
    assert board.env.observe(board.state).avail_actions.int().tolist() == [
        [[1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0]]
    ]


@pytest.mark.parametrize("channels", [2, 3])
def test_what_is_observed(channels: int) -> None:
    board = Board.of("A.a  .B.  Cb.", view=3, hare_channel=channels == 3)
    seen = board.env.observe(board.state)
    windows = ["...  .A.  ..B", "A.a  .B.  Cb.", "..B  .Cb  ..."]
    assert seen.obs.tolist() == [[seen_in(window, channels) for window in windows]]
    assert seen.state.tolist() == [seen_in("A.a  .B.  Cb.", channels)]

    board, _ = board.play({"B": CATCH, "C": CATCH}, prey_order="ba", directions="down left up right")
    seen = board.env.observe(board.state)  # A is alone with a, which went down
    assert seen.obs.tolist() == [[seen_in(window, channels) for window in ("...  .A.  ...", "." * 9, "." * 9)]]
    assert seen.state.tolist() == [seen_in("A..  ..a  ...", channels)]


@pytest.mark.parametrize(
    ("picture", "terminated"), [("AaB..C", True), ("AaB..b", True), ("AaB.Cb", False)], ids=["prey", "predators", "-"]
)
def test_the_episode_ends_when_no_prey_or_no_predator_is_left(picture: str, terminated: bool) -> None:
    _, timestep = Board.of(picture).play({"A": CATCH, "B": CATCH})
    assert timestep.terminated.tolist() == [terminated]
    assert timestep.truncated.tolist() == [False]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_time_limit(terminal: bool) -> None:
    board, early = Board.of("A.B..a", time_limit=2, time_limit_is_terminal=terminal).play({})
    assert not (early.terminated | early.truncated).any()
    _, last = board.play({})
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([terminal], [not terminal])


def test_the_last_capture_at_the_time_limit_is_terminal() -> None:
    _, last = Board.of("AaB", time_limit=1).play({"A": CATCH, "B": CATCH})
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([True], [False])


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


def test_a_step_leaves_the_state_before_it_alone() -> None:
    env = world(rows=5, columns=5)
    state = env.reset(8, generator())
    kept = PredatorPreyState(*(field.clone() for field in state))
    after, _ = env.step(state, torch.full((8, 8), CATCH), generator())
    assert not torch.equal(after.prey, kept.prey)
    assert all(torch.equal(*fields) for fields in zip(kept, state, strict=True))


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


def test_the_configs_are_the_default_world_and_its_punishments() -> None:
    default = instantiate(OmegaConf.load(CONFIG))
    assert vars(default) | {"spec": None} == vars(world()) | {"spec": None}
    for name, punishment in PUNISHMENTS.items():
        env = instantiate(compose(f"env={name}").env)
        assert vars(env) | {"spec": None} == vars(world(punishment=punishment)) | {"spec": None}


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("n_agents", 0, "whole number of at least 1"),
        ("n_prey", 0, "whole number of at least 1"),
        ("rows", 0, "whole number of at least 1"),
        ("columns", -1, "whole number of at least 1"),
        ("view", 0, "whole number of at least 1"),
        ("view", 4, "odd number"),
        ("time_limit", 0, "whole number of at least 1"),
        ("catch_threshold", 0, "whole number of at least 1"),
        ("capture_reward", float("nan"), "number of at least 0"),
        ("capture_reward", -1.0, "number of at least 0"),
        ("punishment", 2.0, "number of at most 0"),
        ("punishment", float("-inf"), "number of at most 0"),
    ],
)
def test_a_bad_value_is_named(name: str, value: float, valid: str) -> None:
    with pytest.raises(UserError, match=rf"(?s){name} cannot be {value}\..*valid: an? {valid}.*env\.{name}="):
        world(**{name: value})


def test_too_many_for_the_grid() -> None:
    with pytest.raises(UserError, match=r"(?s)8 predators and 8 prey do not fit on 3 × 5 cells.*= 15\n.*env\.rows"):
        world(rows=3, columns=5)
    world(rows=4, columns=4)


def test_a_scene_shows_who_is_where() -> None:
    board = Board.of("A...  .a.B")
    frame = board.env.scene(board.state, 0, torch.tensor([CATCH, STAY]))
    assert (frame.x_range, frame.y_range) == ((-0.1, 4.1), (-0.1, 2.1))
    predators, prey, rings = discs(frame.shapes)
    assert predators == {((0.5, 1.5), True), ((3.5, 0.5), True)}
    assert prey == {(1.5, 0.5)}
    assert rings == {(0.5, 1.5)}


def test_a_scene_remembers_captures() -> None:
    """Caught prey is a cross where it was caught, and those removed fade and ring no more."""
    board, _ = Board.of("AaB.  ...C  b...").play({"A": CATCH, "B": CATCH, "C": LEFT})
    board, _ = board.play({"C": LEFT})
    frame = board.env.scene(board.state, 0, torch.tensor([CATCH, CATCH, CATCH]))
    predators, prey, rings = discs(frame.shapes)
    assert predators == {((0.5, 2.5), False), ((2.5, 2.5), False), ((1.5, 1.5), True)}
    assert len(prey) == 1
    assert rings == {(1.5, 1.5)}
    crosses = [shape.points for shape in frame.shapes if isinstance(shape, Line) and shape.thickness > 1]
    assert crosses == [[(1.2, 2.2), (1.8, 2.8)], [(1.2, 2.8), (1.8, 2.2)]]
    assert not discs(board.env.scene(board.state, 0).shapes)[2]


def discs(shapes: Any) -> tuple[set[Any], set[Any], set[Any]]:
    """Centres of predators, each with whether it is in full colour, of prey, and of rings."""
    found = [shape for shape in shapes if isinstance(shape, Disc)]
    predators = {(disc.centre, len(disc.colour) == 7) for disc in found if disc.colour.startswith("#1f77b4")}
    return (
        predators,
        {disc.centre for disc in found if disc.colour == "#ff7f0e"},
        {disc.centre for disc in found if disc.colour == "none"},
    )
