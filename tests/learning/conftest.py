"""Tests that train until something is learned."""

import pytest


@pytest.fixture(autouse=True)
def _fast(unchecked: None) -> None:
    del unchecked
