"""Waiting for what other processes do, for long enough on a busy machine."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0


def wait_until(true: Callable[[], bool], what: str = "what is waited for") -> None:
    """Looks often, and fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S:.0f} s"
        time.sleep(0.02)
