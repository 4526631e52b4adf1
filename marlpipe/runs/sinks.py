"""Where rows of metrics go beside the run folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, runtime_checkable

from marlpipe.runs.folder import RunFolder


@runtime_checkable
class Sink(Protocol):
    """Takes rows of metrics, each with its `env_steps`, and by its number in the run's own log: the same number twice
    is the same row again, but for the clock."""

    def log(self, row: Mapping[str, Any], number: int) -> None: ...


@contextmanager
def no_sinks(*, folder: RunFolder, config: dict[str, Any]) -> Iterator[list[Sink]]:
    """logger=none: nowhere."""
    del folder, config
    yield []


HURRY_S = 10.0  # a run that was interrupted may be about to lose its node


class Closing(Sink, Protocol):
    """A sink that is to be told how the run ended."""

    def finish(self, exit_code: int = 0) -> None: ...


class BackgroundSink:
    """Opens a sink, and hands rows to it, on a thread of its own.

    Args:
        open_sink: may take as long as it likes. Where it gives None, what is logged goes nowhere.
        patience_s: how long the end of a finished run waits for what is left; that of any other, `HURRY_S` at most.
    """

    def __init__(self, open_sink: Callable[[], Closing | None], *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._left: SimpleQueue[Callable[[Closing], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, args=(open_sink,), name="sink", daemon=True)
        self._thread.start()

    def log(self, row: Mapping[str, Any], number: int) -> None:
        """Returns at once."""
        self._left.put(lambda sink: sink.log(row, number))

    def finish(self, exit_code: int = 0) -> bool:
        """Returns when the sink has taken all, or when the patience is over: whether it has."""
        self._left.put(lambda sink: sink.finish(exit_code))
        self._left.put(None)
        self._thread.join(self._patience_s if exit_code == 0 else min(self._patience_s, HURRY_S))
        return not self._thread.is_alive()

    def _work(self, open_sink: Callable[[], Closing | None]) -> None:
        sink = open_sink()
        while (act := self._left.get()) is not None:
            if sink is not None:
                act(sink)
