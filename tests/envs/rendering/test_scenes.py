"""What the worlds look like: who has fallen is red, what is chosen is framed, and all of it lies in the frame."""

from math import cos, radians, sin
from typing import Any, TypeVar

import numpy
import pytest
import torch
from hydra.utils import instantiate
from matplotlib.colors import to_rgb
from omegaconf import OmegaConf

from marlpipe.envs.cartpole import FALLEN, SPRING, UPRIGHT, CartPole, CartPoleState
from marlpipe.envs.payoff import OPTIMAL, TAKEN, PayoffGame, PayoffState
from marlpipe.envs.rendering.draw import pixels
from marlpipe.envs.scene import Box, Label, Line, Scene, Scenic
from tests.support.repository import CONF

CONFIGS = CONF / "env"
LEANING = radians(13)
Kind = TypeVar("Kind", Box, Label, Line)


def world(name: str, **changes: Any) -> Any:
    return instantiate(OmegaConf.merge(OmegaConf.load(CONFIGS / f"{name}.yaml"), changes))


def of(scene: Scene, kind: type[Kind], colour: str | None = None) -> list[Kind]:
    """The shapes of a kind, in their order."""
    found = [shape for shape in scene.shapes if isinstance(shape, kind)]
    return [shape for shape in found if colour in (None, shape.colour)]


def texts(scene: Scene) -> list[str]:
    return [label.text for label in of(scene, Label)]


def carts(angle: list[float], x: list[float], elapsed: int = 7) -> CartPoleState:
    """Two copies: all upright at home, and these."""
    rest = torch.zeros(2, len(x))
    home = torch.arange(float(len(x)))
    return CartPoleState(
        x=torch.stack([home, torch.tensor(x)]),
        velocity=rest,
        angle=torch.stack([rest[0], torch.tensor(angle)]),
        angular_velocity=rest,
        elapsed=torch.tensor([0, elapsed]),
    )


def test_three_carts_of_which_one_has_fallen() -> None:
    env: CartPole = world("cartpole", n_agents=3)
    scene = env.scene(carts([0.1, LEANING, 0.0], [0.2, 0.9, 2.0]), 1, torch.tensor([1, 1, 0]))
    assert isinstance(env, Scenic)
    bodies = of(scene, Box)
    assert [(body.corner[0] + body.width / 2, body.colour) for body in bodies] == [
        (pytest.approx(0.2), UPRIGHT),
        (pytest.approx(0.9), FALLEN),
        (pytest.approx(2.0), UPRIGHT),
    ]
    top = bodies[0].height
    assert [line.points for line in of(scene, Line, FALLEN)] == [
        (pytest.approx((0.9, top)), pytest.approx((0.9 + sin(LEANING), top + cos(LEANING))))  # a pole is 1 m long
    ]
    poles = [line.points[1] for line in of(scene, Line, UPRIGHT)]
    assert poles == [pytest.approx((0.2 + sin(0.1), top + cos(0.1))), pytest.approx((2.0, top + 1))]
    pushes = [(line.points[0][0], line.points[1][0]) for line in of(scene, Line, "white")]  # from the tail to the tip
    assert [(tail < tip, (tail + tip) / 2) for tail, tip in pushes] == [
        (True, pytest.approx(0.2)),
        (False, pytest.approx(2.0)),
    ]
    assert texts(scene) == ["2 of 3 stand, env step 7"]


def test_who_has_left_the_track_is_red_too_and_the_other_copy_is_not() -> None:
    env: CartPole = world("cartpole", n_agents=3)
    state = carts([0.0, 0.0, 0.0], [-1.1, 1.0, 3.1])
    assert [body.colour for body in of(env.scene(state, 1), Box)] == [FALLEN, UPRIGHT, FALLEN]
    assert [body.colour for body in of(env.scene(state, 0), Box)] == [UPRIGHT] * 3
    assert of(env.scene(state, 1), Line, "white") == []  # nobody acts


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, [(-1, 0.2), (0.2, 0.9), (0.9, 2.0), (2.0, 3)]),
        ({"edge_springs": False}, [(0.2, 0.9), (0.9, 2.0)]),
        ({"spring": 0.0}, []),
    ],
)
def test_springs_from_cart_to_cart_and_to_the_walls(changes: dict[str, Any], ends: list[tuple[float, float]]) -> None:
    scene = world("cartpole", n_agents=3, **changes).scene(carts([0.0] * 3, [0.2, 0.9, 2.0]), 1)
    springs = [line.points for line in of(scene, Line, SPRING)]
    assert [(points[0][0], points[-1][0]) for points in springs] == [pytest.approx(pair) for pair in ends]
    assert all(len({height for _, height in points}) > 2 for points in springs)  # no straight lines


def test_red_pixels_lie_where_the_fallen_cart_is() -> None:
    env: CartPole = world("cartpole", n_agents=3)
    scene = env.scene(carts([0.0, 0.0, LEANING], [0.0, 1.0, 2.0]), 1)
    red = (pixels(scene, 300) == [round(255 * part) for part in to_rgb(FALLEN)]).all(axis=2)
    columns = numpy.nonzero(red.any(axis=0))[0] / red.shape[1] * (scene.x_range[1] - scene.x_range[0])
    assert columns.min() + scene.x_range[0] == pytest.approx(1.8, abs=0.03)  # the cart's left side
    assert columns.max() + scene.x_range[0] == pytest.approx(2 + sin(LEANING), abs=0.05)  # the pole's tip


def cells(scene: Scene) -> list[list[float]]:
    """Rows of payoffs as a person reads them, from the boxes and the text in their middle."""
    middle = {label.centre: label.text for label in of(scene, Label) if label.colour != OPTIMAL}
    boxes = [box.corner for box in of(scene, Box)]
    rows = sorted({y for _, y in boxes}, reverse=True)
    return [[float(middle[x + 0.5, y + 0.5]) for x, y2 in sorted(boxes) if y2 == y] for y in rows]


def framed(scene: Scene) -> list[tuple[int, int]]:
    """Row and column of the framed cells."""
    height = max(box.corner[1] for box in of(scene, Box))
    corners = [line.points[0] for line in of(scene, Line, TAKEN)]
    return [(round(height - y), round(x)) for x, y in corners]


def starred(scene: Scene) -> list[tuple[int, int]]:
    height = max(box.corner[1] for box in of(scene, Box))
    return [(round(height - star.centre[1] // 1), int(star.centre[0])) for star in of(scene, Label, OPTIMAL)]


def at_start(copies: int = 1) -> PayoffState:
    return PayoffState(torch.zeros(copies, dtype=torch.long))


def test_the_table_with_what_is_taken_and_what_would_be_best() -> None:
    env: PayoffGame = world("payoff")
    scene = env.scene(at_start(), 0, torch.tensor([2, 1]))
    assert isinstance(env, Scenic)
    assert cells(scene) == env.team_table.tolist()
    assert framed(scene) == [(2, 1)]
    assert starred(scene) == [(0, 0)]
    assert "env step 0 of 1" in texts(scene)
    after = env.scene(PayoffState(torch.tensor([1])), 0)
    assert framed(after) == []
    assert "env step 1 of 1" in texts(after)


def test_the_higher_a_payoff_the_bluer_its_cell() -> None:
    scene = world("payoff").scene(at_start(), 0)
    colours = {box.corner: to_rgb(box.colour) for box in of(scene, Box)}
    best, worst, middle = colours[0, 2], colours[1, 2], colours[1, 1]
    assert worst == to_rgb("white")
    assert best[0] < middle[0] < worst[0]
    assert best[2] > best[1] > best[0]
    assert len(set(colours.values())) == 3


def test_own_payoffs_below_the_teams_and_every_optimum_is_starred() -> None:
    env: PayoffGame = world("payoff_lomaq_3")
    scene = env.scene(at_start(), 0, torch.tensor([0, 1]))
    assert cells(scene) == [[1, 1], [1, 1]]
    assert starred(scene) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [text for text in texts(scene) if "(" in text] == ["(0, 1)", "(1, 0)", "(0, 1)", "(1, 0)"]
    assert not any("(" in text for text in texts(world("payoff").scene(at_start(), 0)))


def test_of_three_agents_the_slice_that_the_third_selects() -> None:
    cube = (torch.arange(27).reshape(3, 3, 3)).tolist()  # 9·a_0 + 3·a_1 + a_2
    env = PayoffGame(team_payoffs=cube, obs_dim=1, horizon=1)
    scene = env.scene(at_start(), 0, torch.tensor([1, 0, 2]))
    assert cells(scene) == [[2, 5, 8], [11, 14, 17], [20, 23, 26]]
    assert framed(scene) == [(1, 0)]
    assert starred(scene) == [(2, 2)]
    assert "env step 0 of 1, agent 2 takes 2" in texts(scene)
    other = env.scene(at_start(), 0, torch.tensor([1, 0, 1]))
    assert (cells(other)[0], starred(other)) == ([1, 4, 7], [])
    assert cells(env.scene(at_start(), 0))[0] == [0, 3, 6]


def test_one_agent_has_a_column() -> None:
    scene = PayoffGame(team_payoffs=[1, 5, 2], obs_dim=1, horizon=1).scene(at_start(), 0, torch.tensor([2]))
    assert cells(scene) == [[1], [5], [2]]
    assert (framed(scene), starred(scene)) == ([(2, 0)], [(1, 0)])
    assert "agent 1" not in texts(scene)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("payoff*.yaml")))
def test_everything_lies_in_the_frame(name: str) -> None:
    env: PayoffGame = world(name)
    picture = pixels(env.scene(at_start(), 0, torch.zeros(2, dtype=torch.long)))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()
