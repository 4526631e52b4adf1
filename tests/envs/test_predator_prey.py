"""The rules of Predator-Prey by hand."""

import pytest
import torch

from marlpipe.envs import graphs
from marlpipe.envs.predator_prey import PredatorPreyState
from marlpipe.types import Env
from tests.envs.hunting import CATCH, DOWN, LEFT, RIGHT, UP, Board, Place, generator, world


def seen_in(picture: str, channels: int) -> list[float]:
    """What is seen of the cells of a picture, row by row."""
    contents = [(sign.isupper(), sign.islower(), False)[:channels] for sign in picture if not sign.isspace()]
    return [float(content) for cell in contents for content in cell]


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


def test_a_step_leaves_the_state_before_it_alone() -> None:
    env = world(rows=5, columns=5)
    state = env.reset(8, generator())
    kept = PredatorPreyState(*(field.clone() for field in state))
    after, _ = env.step(state, torch.full((8, 8), CATCH), generator())
    assert not torch.equal(after.prey, kept.prey)
    assert all(torch.equal(*fields) for fields in zip(kept, state, strict=True))
