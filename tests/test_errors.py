"""Bounds of numbers, as constructors declare them."""

from typing import Annotated, Literal

from marlpipe.errors import Bound, bounds_of


def made(
    size: Annotated[int, Bound(1, 5)],
    perhaps: Annotated[float, Bound(0, integer=False)] | None,
    either: Annotated[int, Bound(0)] | Literal["auto"],
    free: int,
) -> None:
    """A constructor."""


def test_bounds_are_read_off_the_annotations() -> None:
    assert bounds_of(made) == {"size": Bound(1, 5), "perhaps": Bound(0, integer=False, or_null=True)}


def test_a_number_without_end_is_out_of_bounds() -> None:
    bound = Bound(1, integer=False)
    assert not any(bound.holds(value) for value in (float("inf"), float("nan"), -(10**400), "1", True, [1], {}, None))
    assert Bound(1, integer=True).holds(10**300)
    assert not bound.holds(10**400)  # no number of 64 bits
    assert not Bound(1, 10).holds(10**400)
