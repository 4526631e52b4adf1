"""Where rows of metrics go beside the run folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from marlpipe.records.folder import RunFolder


@runtime_checkable
class Sink(Protocol):
    """Takes rows of metrics, each with its `env_steps`."""

    def log(self, row: dict[str, Any]) -> None: ...


@contextmanager
def no_sinks(*, folder: RunFolder, config: dict[str, Any]) -> Iterator[list[Sink]]:
    """logger=none: nowhere."""
    del folder, config
    yield []
