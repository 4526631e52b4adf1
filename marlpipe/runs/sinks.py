"""Receivers of a run's rows of metrics, in addition to the run folder."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, runtime_checkable

from marlpipe.runs.folder import RunFolder

HURRY_S = 10.0  # an interrupted run may be about to lose its node


@runtime_checkable
class Sink(Protocol):
    """Receives rows of metrics, each with its `env_steps` and its number in the run's own log.

    A number that comes twice stands for the same row, except for its wall-clock metrics.
    """

    def log(self, row: Mapping[str, Any], number: int) -> None: ...


class ClosableSink(Sink, Protocol):
    """A sink that needs to know how the run ended."""

    def finish(self, exit_code: int = 0) -> None: ...


@contextmanager
def no_sinks(*, folder: RunFolder, config: dict[str, Any]) -> Iterator[list[Sink]]:
    """logger=none: rows go to the run folder alone."""
    del folder, config
    yield []


class BackgroundSink:
    """Opens a sink and sends rows to it on a thread of its own, so that the run never waits for it.

    A sink that raises is given up, with one line on stderr, and its rows are dropped: the run folder has them all.

    Args:
        open_sink: may take as long as it likes. Where it returns None, rows are dropped.
        patience_s: how long `finish` waits after a finished run; after any other, `HURRY_S` at most.
    """

    def __init__(self, open_sink: Callable[[], ClosableSink | None], *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._queue: SimpleQueue[Callable[[ClosableSink], None] | None] = SimpleQueue()
        self._delivered = False
        self._thread = Thread(target=self._work, args=(open_sink,), name="sink", daemon=True)
        self._thread.start()

    def log(self, row: Mapping[str, Any], number: int) -> None:
        """Queues a row and returns at once."""
        self._queue.put(lambda sink: sink.log(row, number))

    def finish(self, exit_code: int = 0) -> bool:
        """Waits until the sink has taken all rows and has ended, or the patience is over.

        Args:
            exit_code: 0 of a run that finished.

        Returns:
            Whether the sink has taken all rows.
        """
        self._queue.put(lambda sink: sink.finish(exit_code))
        self._queue.put(None)
        self._thread.join(self._patience_s if exit_code == 0 else min(self._patience_s, HURRY_S))
        return self._delivered

    def _work(self, open_sink: Callable[[], ClosableSink | None]) -> None:
        try:
            sink = open_sink()
            while (act := self._queue.get()) is not None:
                if sink is not None:
                    act(sink)
            self._delivered = True
        except BaseException as error:  # of other people's code; an exception here would end the thread in silence
            reason = f"{type(error).__name__}: {error}"
            print(f"warning: the run goes on without a sink that stopped working: {reason}", file=sys.stderr)
            while self._queue.get() is not None:  # drained, so that rows take no memory
                pass
