"""Imports of torch and Lightning, where a command needs them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """No garbage collection inside: imports make almost no garbage, and looking for it takes a sixth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
