"""Shapes are where the scene says, in its colours and its order, in pictures of even size and true proportions."""

import numpy
import pytest
from jaxtyping import Bool, UInt8
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy import ndarray

from marlpipe.envs.rendering.draw import draw, frame_size, pixels
from marlpipe.envs.scene import Box, Disc, Label, Line, Pixels, Point, Scene, Shape

Picture = UInt8[ndarray, "H W 3"]


def scene(*shapes: Shape) -> Scene:
    """On a plane from −2 to 4 across and from 1 to 4 up: 200 × 100 pixels at a height of 100."""
    return Scene((-2, 4), (1, 4), shapes)


def at(picture: Picture, point: Point) -> list[int]:
    """The colour of a point of `scene`, which is not at the edge."""
    height, width, _ = picture.shape
    return picture[int((4 - point[1]) / 3 * height), int((point[0] + 2) / 6 * width)].tolist()


def where(picture: Picture, colour: str) -> Bool[ndarray, "H W"]:
    return (picture == rgb(colour)).all(axis=2)


def rgb(colour: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(colour)]


def extent(marked: Bool[ndarray, "H W"]) -> tuple[int, int]:
    """Height and width in pixels of what is marked."""
    rows, columns = numpy.nonzero(marked)
    return int(numpy.ptp(rows)) + 1, int(numpy.ptp(columns)) + 1


def test_a_disc() -> None:
    picture = pixels(scene(Disc((3, 3.5), 0.3, "red")), height=100)
    assert picture.shape == (100, 200, 3)
    for point in [(3, 3.5), (3.25, 3.5), (2.75, 3.5), (3, 3.75), (3, 3.25), (3.17, 3.67)]:
        assert at(picture, point) == rgb("red")
    for point in [(3.36, 3.5), (2.64, 3.5), (3, 3.86), (3, 3.14), (3.25, 3.75), (0, 2)]:
        assert at(picture, point) == rgb("white")
    assert abs(where(picture, "red").sum() - numpy.pi * 10**2) < 40  # 0.3 are 10 pixels; those at the edge are pink


def test_a_box_with_an_edge() -> None:
    picture = pixels(scene(Box((-1, 1.5), 2, 1, "#0000ff", "#00ff00")), height=300)
    for point in [(-0.9, 1.6), (0.9, 1.6), (-0.9, 2.4), (0.9, 2.4), (0, 2)]:
        assert at(picture, point) == rgb("blue")
    for point in [(-1.1, 2), (1.1, 2), (0, 1.4), (0, 2.6)]:
        assert at(picture, point) == rgb("white")
    green = picture[..., 1].astype(int) - picture[..., [0, 2]].max(axis=2) > 100
    assert extent(green) == pytest.approx((100, 200), abs=4)


def test_a_line_with_a_bend() -> None:
    picture = pixels(scene(Line([(-1, 1.5), (-1, 3.5), (3, 3.5)], "green", 3)), height=300)
    for point in [(-1, 1.6), (-1, 2.5), (-1, 3.4), (0, 3.5), (2.9, 3.5)]:
        assert at(picture, point) == rgb("green")
    for point in [(-1, 1.3), (1, 2.5), (3.2, 3.5), (-1.1, 2.5), (-0.9, 2.5)]:
        assert at(picture, point) == rgb("white")


@pytest.mark.parametrize("text", ["mid", "$1_$"])
def test_a_label_is_centred_and_grows_with_the_picture(text: str) -> None:
    label = scene(Label((1, 2.5), text, "black", 12))
    sizes = []
    for height in (200, 400):
        dark = pixels(label, height)[..., 0] < 128
        rows, columns = numpy.nonzero(dark)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(height / 2, abs=0.02 * height)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(height, abs=0.02 * height)
        sizes.append(extent(dark))
    assert sizes[1] == pytest.approx((2 * sizes[0][0], 2 * sizes[0][1]), abs=3)
    assert 0.02 * 400 < sizes[1][0] < 0.05 * 400


def test_later_shapes_lie_above_earlier_ones() -> None:
    disc, box, line = Disc((1, 2), 0.5, "red"), Box((0.5, 1.5), 1, 1, "blue"), Line([(0, 2), (2, 2)], "green", 5)
    for shapes in [(disc, box, line), (line, disc, box), (box, line, disc), (disc, Disc((1, 2), 0.4, "blue"))]:
        assert at(pixels(scene(*shapes), 300), (1, 2)) == rgb(shapes[-1].colour)


def test_a_finished_picture_fills_the_frame_under_what_comes_after_it() -> None:
    rgb_of_cells = numpy.random.default_rng(0).integers(0, 256, (5, 10, 3), dtype=numpy.uint8)
    picture = pixels(scene(Pixels(rgb_of_cells), Disc((4, 1), 0.2, "red")), height=100)
    assert (picture[10::20, 10::20] == rgb_of_cells).all()
    assert picture[98, 198].tolist() == rgb("red")


def test_a_unit_is_as_long_across_as_it_is_up() -> None:
    for x_range, y_range in [((0, 3), (0, 7.3)), ((-5, 5), (0, 10)), ((0, 17), (-0.1, 1.7))]:
        middle = (sum(x_range) / 2, sum(y_range) / 2)
        picture = pixels(Scene(x_range, y_range, [Disc(middle, 0.4 * min(x_range[1], y_range[1]), "red")]), 300)
        height, width = extent(picture[..., 1] < 128)
        assert height == pytest.approx(width, abs=1)


@pytest.mark.parametrize(
    ("across", "up", "size"),
    [
        (2.0, 1.0, (200, 100)),
        (1.0, 1.0, (100, 100)),
        (1.0, 3.0, (34, 100)),  # 33.3, and even
        (2.5, 1.0, (250, 100)),
        (25.0, 2.0, (250, 20)),  # too wide: less high
        (1000.0, 1.0, (250, 2)),
    ],
)
def test_sizes_are_even(across: float, up: float, size: tuple[int, int]) -> None:
    wide = Scene((-1, across - 1), (3, up + 3), [])
    assert frame_size(wide, 100) == size
    assert pixels(wide, 100).shape == (size[1], size[0], 3)


def test_a_frame_keeps_nothing_of_the_one_before() -> None:
    first = scene(Disc((1, 2), 0.5, "red"), Label((2, 3), "one"))
    second = scene(Box((-1, 2), 1, 1, "blue"), Line([(0, 2), (2, 2)], "green"), Pixels(numpy.zeros((2, 4, 3), "uint8")))
    shown = [pixels(frame, 100) for frame in (first, second, scene(), first, second)]
    assert (shown[2] == 255).all()
    assert (shown[0] == shown[3]).all()
    assert (shown[1] == shown[4]).all()
    assert (shown[0] != shown[1]).any()


def test_a_scene_in_a_figure_of_ones_own() -> None:
    axes = Figure().add_subplot()
    draw(scene(Disc((3, 3.5), 0.3, "red"), Label((1, 2), "here")), axes)
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_aspect()) == ((-2, 4), (1, 4), 1)
    assert [text.get_text() for text in axes.texts] == ["here"]
