"""The picture of a world at one time step as plain shapes: worlds return scenes, envs/rendering draws them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor

Point = tuple[float, float]  # in the world's own units, y upwards


class Disc(NamedTuple):
    """A filled circle. Colours are matplotlib's: names, or #rrggbb with an optional opacity."""

    centre: Point
    radius: float
    colour: str
    edge: str = "none"


class Box(NamedTuple):
    """A filled rectangle, from its lower left corner."""

    corner: Point
    width: float
    height: float
    colour: str
    edge: str = "none"


class Line(NamedTuple):
    """Straight pieces from point to point, `thickness` typographic points wide."""

    points: Sequence[Point]
    colour: str
    thickness: float = 1.5


class Label(NamedTuple):
    """Text centred on a point, `size` typographic points high."""

    centre: Point
    text: str
    colour: str = "black"
    size: float = 10


class Pixels(NamedTuple):
    """A picture drawn by the world itself, which fills the frame."""

    rgb: UInt8[ndarray, "H W 3"]


Shape = Disc | Box | Line | Label | Pixels


class Scene(NamedTuple):
    """A frame: the visible part of the plane, and its shapes, later ones above earlier ones."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    shapes: Sequence[Shape]


@runtime_checkable
class Scenic(Protocol):
    """A world that can be drawn."""

    def scene(self, state: Any, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """One copy at one time step, with the actions that its agents take there (None after the last step)."""
        ...
