"""The global generators go on as if nothing had happened."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch

from marlpipe.training.fingerprint import fingerprint
from marlpipe.training.generators import generator_states, restore_generators


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    states = generator_states()
    yield
    restore_generators(states)


def drawn() -> list[Any]:
    """A normal one leaves half of its pair in Python's and NumPy's generators."""
    return [
        *(random.random(), random.gauss(0, 1)),
        *(numpy.random.rand(), numpy.random.randn(), numpy.random.permutation(9).tolist()),
        *(torch.rand(3).tolist(), torch.randn(5).tolist(), torch.randperm(9).tolist()),
    ]


def test_they_go_on_from_a_file() -> None:
    drawn()
    file = io.BytesIO()
    torch.save(generator_states(), file)
    expected = [drawn(), drawn()]
    file.seek(0)
    restore_generators(torch.load(file, weights_only=True))
    assert [drawn(), drawn()] == expected
    assert drawn() not in expected


@pytest.mark.parametrize(
    ("draw", "name"),
    [(random.random, "python"), (numpy.random.rand, "numpy"), (numpy.random.randn, "numpy"), (torch.rand, "torch")],
)
def test_each_draw_changes_the_fingerprint_of_its_own_generator(draw: Any, name: str) -> None:
    before = {name: fingerprint(state) for name, state in generator_states().items()}
    assert {name: fingerprint(state) for name, state in generator_states().items()} == before
    draw(*([1] if draw is torch.rand else []))
    after = {name: fingerprint(state) for name, state in generator_states().items()}
    assert {name for name in before if before[name] != after[name]} == {name}


def test_states_are_not_changed_by_drawing() -> None:
    states = generator_states()
    before = fingerprint(states)
    drawn()
    assert fingerprint(states) == before


def test_states_of_gpus_are_passed_over_where_there_are_none() -> None:
    states = {**generator_states(), "cuda": [torch.zeros(16, dtype=torch.uint8)]}
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    expected = drawn()
    restore_generators(states)
    assert drawn() == expected
