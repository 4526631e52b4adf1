"""What is drawn of Predator-Prey."""

from typing import Any

import torch

from marlpipe.envs.scene import Disc, Line
from tests.envs.hunting import CATCH, LEFT, STAY, Board


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
