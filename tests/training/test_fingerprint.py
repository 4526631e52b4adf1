"""What counts as equal, to the last bit."""

import math
from collections import OrderedDict
from typing import Any

import numpy
import pytest
import torch

from marlpipe.training.fingerprint import fingerprint


def state() -> dict[str, Any]:
    return {"weights": torch.arange(6.0).view(2, 3), "step": 3, "rate": 0.1, "names": ["a", "b"], "none": None}


def test_equal_values_have_equal_fingerprints() -> None:
    assert fingerprint(state()) == fingerprint(state())
    assert len(fingerprint(state())) == 16
    assert int(fingerprint(state()), 16) >= 0


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint(dict(reversed(state().items()))) == fingerprint(state())
    assert fingerprint(OrderedDict(state())) == fingerprint(state())


def test_how_a_tensor_lies_in_memory_does_not_matter() -> None:
    weights = torch.arange(6.0).view(3, 2).T
    assert not weights.is_contiguous()
    assert fingerprint(weights) == fingerprint(weights.contiguous())
    assert fingerprint(torch.arange(6.0)[2:4]) == fingerprint(torch.tensor([2.0, 3.0]))
    assert fingerprint(torch.nn.Parameter(torch.ones(2))) == fingerprint(torch.ones(2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 2**-22])),
        (torch.tensor(0.0), torch.tensor(-0.0)),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(0, 3), torch.zeros(3, 0)),
        (torch.zeros(1), torch.zeros(())),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(2, dtype=torch.bool), torch.zeros(2, dtype=torch.uint8)),
        (torch.zeros(2, dtype=torch.float16), torch.zeros(2, dtype=torch.bfloat16)),
        (torch.tensor(1.0), 1.0),
        (1, 2),
        (1, 1.0),
        (1, True),
        (1, "1"),
        (0.1, 0.1 + 2**-56),
        (0.0, -0.0),
        (0.0, math.nan),
        (math.inf, -math.inf),
        (None, "None"),
        (None, 0),
        ("a", "b"),
        ([1, 2], [2, 1]),
        ([1, 2], [1]),
        ([[1], 2], [[1, 2]]),
        ([[], [1]], [[1], []]),
        ([1, 11], [11, 1]),
        (["a", "b"], ["a;b"]),
        (["a"], "a"),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
        ({0: 1}, {"0": 1}),
        ({}, []),
    ],
)
def test_each_kind_of_change_is_seen(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint([one]) != fingerprint([other])
    assert fingerprint({"x": one}) != fingerprint({"x": other})


def test_nan_is_equal_to_itself() -> None:
    assert fingerprint([math.nan]) == fingerprint([float("nan")])
    assert fingerprint(torch.tensor([math.nan])) == fingerprint(torch.tensor([math.nan]))


def test_what_may_hide_something_is_refused() -> None:
    """NumPy writes the middle of a large array as dots."""
    for value in (numpy.zeros(5000), {1, 2}, object()):
        with pytest.raises(TypeError, match="has no fingerprint"):
            fingerprint([value])


def test_it_is_the_same_in_every_process() -> None:
    assert fingerprint({"a": torch.tensor([1.0, 2.0]), "b": [1, 0.5, None, "x"]}) == "f0a6e922833e5043"
