"""Draws the shapes of a scene as a picture."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy import ndarray

from marlpipe.envs.scene import Box, Disc, Label, Line, Pixels, Scene

WIDEST = 2.5  # ratio of width to the requested height; a wider world is drawn less high
POINTS = 345.6  # typographic points in the requested height: 72 per inch, 100 pixels per inch at 480 pixels


def pixels(scene: Scene, height: int = 480) -> UInt8[ndarray, "H W 3"]:
    """The picture of a scene, at most `height` pixels high, and of even height and width, as films need it.

    Units are equal in both directions. Text and lines scale with `height`.
    """
    canvas, axes = _canvas(*frame_size(scene, height), 72 * height / POINTS)
    for artist in (*axes.collections, *axes.texts, *axes.images):
        artist.remove()
    draw(scene, axes)
    canvas.draw()
    return numpy.array(canvas.buffer_rgba())[..., :3]


def frame_size(scene: Scene, height: int) -> tuple[int, int]:
    """Width and height in pixels, both even, of the largest picture that a height and `WIDEST` leave room for."""
    across, up = scene.x_range[1] - scene.x_range[0], scene.y_range[1] - scene.y_range[0]
    per_unit = min(height / up, WIDEST * height / across)
    return max(2, 2 * round(across * per_unit / 2)), max(2, 2 * round(up * per_unit / 2))


@lru_cache(maxsize=1)
def _canvas(width: int, height: int, dpi: float) -> tuple[Any, Axes]:
    """A canvas, which matplotlib gives no type, and axes that fill it: the same ones for all frames of a film."""
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    return FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))


def draw(scene: Scene, axes: Axes) -> None:
    """Adds the shapes of a scene to matplotlib's axes, and sets their limits, without ticks."""
    axes.set(xlim=scene.x_range, ylim=scene.y_range, aspect="equal")
    axes.set_axis_off()
    for layer, (kind, alike) in enumerate(groupby(scene.shapes, type)):  # one artist for many shapes is far faster
        ADD[kind](axes, list(alike), layer)


def _add_discs(axes: Axes, discs: Sequence[Disc], layer: int) -> None:
    diameters = [2 * disc.radius for disc in discs]
    ellipses = EllipseCollection(
        diameters,
        diameters,
        [0] * len(discs),
        units="xy",
        offsets=[disc.centre for disc in discs],
        offset_transform=axes.transData,
        facecolors=[disc.colour for disc in discs],
        edgecolors=[disc.edge for disc in discs],
        zorder=layer,
    )
    axes.add_collection(ellipses, autolim=False)


def _add_boxes(axes: Axes, boxes: Sequence[Box], layer: int) -> None:
    corners = [
        [(x, y), (x + box.width, y), (x + box.width, y + box.height), (x, y + box.height)]
        for box in boxes
        for x, y in [box.corner]
    ]
    polygons = PolyCollection(
        corners,
        facecolors=[box.colour for box in boxes],
        edgecolors=[box.edge for box in boxes],
        zorder=layer,
    )
    axes.add_collection(polygons, autolim=False)


def _add_lines(axes: Axes, lines: Sequence[Line], layer: int) -> None:
    pieces = LineCollection(
        [line.points for line in lines],
        colors=[line.colour for line in lines],
        linewidths=[line.thickness for line in lines],
        capstyle="round",
        joinstyle="round",
        zorder=layer,
    )
    axes.add_collection(pieces, autolim=False)


def _add_labels(axes: Axes, labels: Sequence[Label], layer: int) -> None:
    for label in labels:
        axes.text(
            *label.centre,
            label.text,
            color=label.colour,
            fontsize=label.size,
            ha="center",
            va="center",
            parse_math=False,
            clip_on=True,
            zorder=layer,
        )


def _add_pixels(axes: Axes, pictures: Sequence[Pixels], layer: int) -> None:
    window = (*axes.get_xlim(), *axes.get_ylim())
    for picture in pictures:
        axes.imshow(picture.rgb, extent=window, zorder=layer)


ADD: dict[type, Callable[[Axes, Sequence[Any], int], None]] = {
    Disc: _add_discs,
    Box: _add_boxes,
    Line: _add_lines,
    Label: _add_labels,
    Pixels: _add_pixels,
}
