"""Runs as processes, a few at a time. None can affect another."""

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

from marlpipe.errors import UserError
from marlpipe.launch.free_memory import GIB, Memory
from marlpipe.launch.run_process import Job, Outcome, work
from marlpipe.launch.sockets import make_room_for_sockets
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import owner

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0  # as often as a run updates its status file
TERMINATE_S = 5.0
NOT_FOR_IMPORTS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that was started, and where its outcome will come from."""

    number: int
    process: ForkServerProcess
    channel: "Connection[Outcome, Outcome]"


class RunPool:
    """Starts runs and waits for them.

    Args:
        processes: how many at once, where they fit into the memory.
        preload: modules to import once; each run starts as a copy of the process that has imported them.
        environment: of that process. Libraries read their number of threads from it when they are loaded.
        grace_s: seconds that runs get to save themselves after a Ctrl-C.
        memory: decides whether another run fits.
    """

    def __init__(
        self,
        *,
        processes: int,
        preload: Sequence[str],
        environment: Mapping[str, str],
        grace_s: float | int,
        memory: Memory,
    ) -> None:
        self._processes = processes
        self._memory, self._holding_back = memory, False
        self._grace_s = grace_s
        make_room_for_sockets()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        own = dict(os.environ)
        os.environ.update(environment)
        # signals that a terminal or a cluster sends to all processes of a job are not for one that only imports
        listening = {number: signal.signal(number, signal.SIG_IGN) for number in NOT_FOR_IMPORTS}
        try:
            forkserver.ensure_running()
        finally:
            for number, handler in listening.items():
                signal.signal(number, handler)
            os.environ.clear()
            os.environ.update(own)
        self._running: list[Running] = []

    def run(self, jobs: Sequence[Job], look: Callable[[], None]) -> list[float | int | None]:
        """Runs all jobs to whatever end each of them finds, which is then in its status file.

        Args:
            jobs: in the order in which they start.
            look: called about once per second.

        Returns:
            The number that each task returned, None for a task that returned none or failed.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C; all runs have been stopped and their status files say so.
        """
        waiting = deque(range(len(jobs)))
        values: list[float | int | None] = [None] * len(jobs)
        try:
            while waiting or self._running:
                while waiting and self._one_more_fits():
                    with _log_user_error(), _signals_deferred():
                        self._start(jobs, waiting.popleft())
                look()
                self._memory.look()
                for run in self._ended(LOOK_EVERY_S):
                    values[run.number] = self._conclude(run, jobs[run.number], stopped=False)
        except KeyboardInterrupt:
            self._stop(jobs, look)
            record_unstarted([RunFolder(jobs[number].folder) for number in waiting])
            raise
        finally:
            self._stop(jobs, lambda: None)  # nothing is left running, whatever error came
        return values

    def ask(self, number: signal.Signals, patience_s: float) -> None:
        """Sends all runs a signal, and returns once they have ended, or are out of time.

        It may be called from a signal handler, whatever `run` is doing: it changes nothing here.
        """
        asked = list(self._running)
        for run in asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.process.pid or 0, number)
        deadline, alive = time.monotonic() + patience_s, [run.process.sentinel for run in asked]
        while alive and time.monotonic() < deadline:
            ended = wait(alive, LOOK_EVERY_S)
            alive = [sentinel for sentinel in alive if sentinel not in ended]

    def _one_more_fits(self) -> bool:
        memory, running = self._memory, [run.process.pid or 0 for run in self._running]
        fits = memory.fits(running)  # asked even where no process is to spare: it learns how much runs need
        if len(running) >= self._processes:
            return False
        if not fits and not self._holding_back:
            log.info(
                "%d runs at a time for now: %.1f GiB of memory are free, and a run may need %.1f GiB",
                len(running),
                (memory.free or 0) / GIB,
                memory.peak / GIB,
            )
        self._holding_back = not fits
        return fits

    def _start(self, jobs: Sequence[Job], number: int) -> None:
        folder = RunFolder(jobs[number].folder)
        if folder.status.state != "finished" and owner(folder.lock) is None:
            folder.update_status(state="running", pid=None, host=None)  # until it says so itself
        receive, send = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(jobs[number], send), name=f"run-{number}")
        process.start()
        send.close()
        self._running.append(Running(number=number, process=process, channel=receive))

    def _ended(self, timeout_s: float) -> list[Running]:
        wait([run.process.sentinel for run in self._running], timeout_s)
        ended = [run for run in self._running if not run.process.is_alive()]
        self._running = [run for run in self._running if run not in ended]
        return ended

    def _stop(self, jobs: Sequence[Job], look: Callable[[], None]) -> None:
        """Ends all runs, by SIGINT, then SIGTERM, then SIGKILL. A second Ctrl-C skips the waiting."""
        for signal_, patience_s in (
            (signal.SIGINT, self._grace_s),
            (signal.SIGTERM, TERMINATE_S),
            (signal.SIGKILL, TERMINATE_S),
        ):
            for run in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(run.process.pid or 0, signal_)
            deadline = time.monotonic() + patience_s
            with contextlib.suppress(KeyboardInterrupt):
                while self._running and time.monotonic() < deadline:
                    look()
                    for run in self._ended(LOOK_EVERY_S):
                        self._conclude(run, jobs[run.number], stopped=True)

    def _conclude(self, run: Running, job: Job, *, stopped: bool) -> float | int | None:
        """Writes to the status file how a run ended, where the run itself did not."""
        run.process.join()
        outcome = _received(run.channel)
        folder = RunFolder(job.folder)
        with _log_user_error():
            if outcome is not None and outcome.kind == "owned":
                log.info("%s", outcome.reason)
            elif folder.status.ended:
                pass  # the run has written so itself
            elif outcome is not None and outcome.kind == "returned":
                folder.update_status(state="finished")
            elif stopped or (outcome is not None and outcome.kind == "interrupted"):
                folder.update_status(state="interrupted", reason="stopped")
            else:
                reason = outcome.reason if outcome else _exit_reason(run.process.exitcode, self._memory)
                folder.update_status(state="failed", reason=reason)
        return outcome.value if outcome else None


def record_unstarted(folders: Sequence[RunFolder]) -> None:
    """Writes to the status file of each run that waits that it will not start."""
    for folder in folders:
        with _log_user_error():
            if folder.status.state == "queued" and owner(folder.lock) is None:
                folder.update_status(state="interrupted", reason="stopped before it started")


@contextlib.contextmanager
def _log_user_error() -> Iterator[None]:
    """Logs a run folder's UserError instead of ending the grid."""
    try:
        yield
    except UserError as error:
        log.error("%s", error)


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Signals wait until the end: a run whose start is interrupted would be in no list, and would never be stopped."""
    came: list[int] = []
    listening = {number: signal.signal(number, lambda number, _: came.append(number)) for number in NOT_FOR_IMPORTS}
    try:
        yield
    finally:
        for number, handler in listening.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _received(channel: "Connection[Outcome, Outcome]") -> Outcome | None:
    with channel:
        try:
            return channel.recv() if channel.poll() else None
        except EOFError:
            return None


def _exit_reason(exitcode: int | None, memory: Memory) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended with exit code {exitcode} and said nothing"
    name = signal.Signals(-exitcode).name
    if name != "SIGKILL":
        return f"its process was killed by {name}"
    return f"its process was killed by SIGKILL: {memory.shortage() or 'by someone, or for lack of memory'}"
