"""A value and an annotation: which go together, and what is said of those that do not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from marlpipe.config.keys import check_parts
from marlpipe.config.kinds import check_value, describe, fits
from marlpipe.errors import Bound, UserError

NAN = float("nan")
PART = {"_target_": "torch.nn.GRU"}
SMALL = Annotated[int, Bound(1, 9)]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (bool, [True, False], [0, 1, "no", "true", None, [], {}]),
        (int, [0, -3, 2**63 - 1], [True, 1.0, "1", None, [1], NAN, 2**63]),
        (float, [0, -0.5, 1e300], [True, "0.5", None, NAN, float("inf"), 10**400, {}]),
        (str, ["", "no"], [1, True, None, ["a"], {}]),
        (SMALL, [1, 9], [0, 10, 2.0, True, None]),
        (SMALL | None, [1, None], [0, "null"]),
        (Annotated[int | None, Bound(1)], [1, None], [0]),
        (Literal["sum", "mean"], ["sum"], ["summ", 0, None]),
        (Literal[1], [1], [True, 1.0, 2, "1"]),
        (Sequence[str], [[], ["a", "b"]], ["paper", ["a", 1], None, {"a": 1}]),
        (Sequence[Sequence[int]], [[[0, 1], [2]]], ["[[0,1],[2]]", [0, 1], [[0.5]]]),
        (tuple[float, int], [[0.5, 1]], [[0.5], [0.5, 1, 2], [0.5, "a"], 0.5, "[0.5,1]", None, {}]),
        (tuple[int, ...], [[], [1, 2]], [["a"], 1]),
        (Mapping[str, Any] | None, [{}, {"N": 3}, None], ["N", [1], PART]),
        (Callable[[int], int], [PART], ["torch.relu", None, {}, 3]),
        (int | str, ["auto", 3], [None, 0.5, True]),
        (Any, [None, "x", NAN], []),
    ],
)
def test_which_values_fit(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    assert all(fits(value, annotation) for value in good)
    assert not any(fits(value, annotation) for value in bad)


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        ("no", bool, "a.b=no is not possible.\n  valid: true or false\n  next: a.b=true"),
        (
            0,
            Annotated[float | int | None, Bound(1, 9, integer=False, or_null=True)],
            "a.b=0 is not possible.\n  valid: a number from 1 to 9, or null\n  next: a.b=1",
        ),
        (0, SMALL | None, "a.b=0 is not possible.\n  valid: a whole number from 1 to 9, or null\n  next: a.b=1"),
        (2024, str, "a.b=2024 is not possible.\n  valid: text\n  next: in quotes it is text: 'a.b=\"2024\"'"),
        ("m", Literal["sum", "mean"], "a.b=m is not possible.\n  valid: sum, mean\n  next: a.b=sum"),
        ("paper", Sequence[str], "a.b=paper is not possible.\n  valid: [A, B, …], each text"),
        (0.9, tuple[float, SMALL], "a.b=0.9 is not possible.\n  valid: [a number, a whole number from 1 to 9]"),
        ([0.9], tuple[int, ...], "a.b=[0.9] is not possible.\n  valid: [a whole number, …]"),
        ("???", str, "give a value for a.b, as in a.b=…\n  valid: text"),
    ],
)
def test_messages(value: Any, annotation: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        check_value("a.b", value, annotation)
    assert str(error.value) == message


def test_a_number_of_no_bound_is_called_so() -> None:
    assert [describe(int), describe(float)] == ["a whole number", "a number"]


def test_pairs_of_an_optimizer() -> None:
    """As torch takes them, and nothing else."""
    node = {"_target_": "torch.optim.Adam", "_partial_": True, "betas": [0.8, 0.95]}
    check_parts(node, "profile.optimizer")
    for wrong in ([0.8], [2, 3], ["a", "b"], 0.9, "no"):
        with pytest.raises(
            UserError, match=r"^profile\.optimizer\.betas=.*\n  valid: \[a number from 0 to 1, a number"
        ):
            check_parts({**node, "betas": wrong}, "profile.optimizer")
