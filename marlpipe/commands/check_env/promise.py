"""How a world is said to break a promise."""

from collections.abc import Iterable
from typing import NamedTuple


class Failure(NamedTuple):
    """Where a world did otherwise than it should."""

    field: str
    expected: str
    came: str
    env_step: int | None = None  # 0 is the reset
    copy: int | None = None

    def __str__(self) -> str:
        where = [self.field]
        where += [f"env step {self.env_step}"] if self.env_step is not None else []
        where += [f"copy {self.copy}"] if self.copy is not None else []
        return f"{', '.join(where)}: expected {self.expected}, came {self.came}"


class Broken(Exception):  # noqa: N818 it ends a recording, and is caught
    """A promise was broken in a way that leaves nothing to go on with."""

    def __init__(self, promise: str, failures: list[Failure]) -> None:
        super().__init__(promise, failures)
        self.promise, self.failures = promise, failures


def refuse(promise: str, failures: Iterable[Failure]) -> None:
    """`Broken` if there are any failures."""
    if found := list(failures):
        raise Broken(promise, found)
