"""The run waits for no sink: sinks that are slow, stuck, broken, or none."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from marlpipe.runs import sinks as background
from marlpipe.runs.sinks import BackgroundSink


class Kept:
    """Keeps all rows, as soon as it may."""

    def __init__(self, may: threading.Event) -> None:
        self.may, self.records, self.exit_code = may, list[tuple[int, int]](), -1

    def log(self, row: Mapping[str, Any], number: int) -> None:
        self.may.wait()
        self.records.append((row["env_steps"], number))

    def finish(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code


def log_some(sink: BackgroundSink) -> float:
    """How many seconds that takes."""
    started = time.monotonic()
    for number in range(1000):
        sink.log({"env_steps": 10 * number}, number)
    return time.monotonic() - started


def test_all_rows_arrive_in_their_order() -> None:
    may = threading.Event()
    kept = Kept(may)
    sink = BackgroundSink(lambda: kept, patience_s=30.0)
    log_some(sink)
    assert kept.records == []
    may.set()
    assert sink.finish(exit_code=3)
    assert kept.records == [(10 * number, number) for number in range(1000)]
    assert kept.exit_code == 3


def test_a_sink_that_cannot_be_opened_takes_nothing() -> None:
    sink = BackgroundSink(lambda: None, patience_s=30.0)
    log_some(sink)
    assert sink.finish()


def test_opening_logging_and_ending_do_not_wait_for_a_sink_that_is_stuck() -> None:
    may = threading.Event()

    def opened_at_last() -> Kept:
        may.wait()
        return Kept(may)

    for open_sink in (opened_at_last, lambda: Kept(may)):
        started = time.monotonic()
        sink = BackgroundSink(open_sink, patience_s=2.0)
        assert log_some(sink) < 2
        assert not sink.finish()
        assert 2 <= time.monotonic() - started < 30
    may.set()


def test_an_interrupted_run_is_in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "HURRY_S", 0.3)
    may = threading.Event()
    sink = BackgroundSink(lambda: Kept(may), patience_s=60.0)
    log_some(sink)
    started = time.monotonic()
    assert not sink.finish(exit_code=1)
    assert time.monotonic() - started < 30
    may.set()


class Broken:
    """Takes some rows, and raises at the next one."""

    def __init__(self, rows: int) -> None:
        self.left = rows

    def log(self, row: Mapping[str, Any], number: int) -> None:
        del row, number
        if self.left == 0:
            raise ValueError("no room for row 3")
        self.left -= 1

    def finish(self, exit_code: int = 0) -> None:
        raise AssertionError(f"{exit_code}: a broken sink is not used again")


def cannot_open() -> Kept:
    raise OSError("no such server")


@pytest.mark.parametrize(
    ("open_sink", "reason"),
    [(cannot_open, "OSError: no such server"), (lambda: Broken(3), "ValueError: no room for row 3")],
    ids=["at its opening", "at a row"],
)
def test_a_sink_that_breaks_says_so_once_takes_no_memory_and_has_not_taken_all(
    open_sink: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = BackgroundSink(open_sink, patience_s=30.0)
    for _ in range(3):
        log_some(sink)
        deadline = time.monotonic() + 30
        while not sink._queue.empty():
            assert time.monotonic() < deadline, "rows are kept for a sink that takes no more"
            time.sleep(0.01)
    assert not sink.finish()
    assert capsys.readouterr().err == f"warning: the run goes on without a sink that stopped working: {reason}\n"
