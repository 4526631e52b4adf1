"""A small disk per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.terminal import SmallDisk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path, kib=400)
    yield disk
    disk.close()
