"""The default precision is restored after each test."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _default_precision() -> Iterator[None]:
    """Tests compute in double precision, constants times masks too, as the recorded steps do."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)
