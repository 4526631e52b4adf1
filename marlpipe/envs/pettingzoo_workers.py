"""Copies of a PettingZoo world in worker processes, each with a share of them."""

import os
import signal
import subprocess
import sys
import traceback
import weakref
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from marlpipe.envs.pettingzoo_copies import Copies, CopiesStep
from marlpipe.envs.pettingzoo_import import Source
from marlpipe.errors import UserError, WorldError

PATIENCE_S = 5.0  # for a worker to end before it is killed
MESSAGE_S = 1.5e-4  # round trip to a worker, measured between two cores


def workers_that_pay(*, n: int, threads: int, step_s: float) -> int:
    """As many workers as threads, if that steps n copies of `step_s` seconds per step faster; 0 otherwise."""
    count = min(n, threads)
    longest_share = -(-n // count)
    return count if step_s * (n - longest_share) > MESSAGE_S * count else 0


class Workers:
    """Does what `Copies` does: copy i lives in worker i modulo `count`, and results do not depend on their number.

    Workers end when this process ends in any way, since their pipe closes. They have a session of their own, so that
    Ctrl-C in the terminal does not reach them.
    """

    def __init__(self, count: int, source: Source, *, horizon: int, rebuild: bool) -> None:
        self.count, self.source, self.n = count, source, 0
        self.pipes, self.processes = list[Connection](), list[subprocess.Popen[bytes]]()
        self.end = weakref.finalize(self, _end, self.pipes, self.processes)
        for worker in range(count):
            pipe, theirs = Pipe()
            with theirs:
                self.processes.append(_start(theirs.fileno()))
            self.pipes.append(pipe)
            pipe.send((source, {"horizon": horizon, "rebuild": rebuild, "first": worker, "stride": count}))

    def reset(self, seeds: Sequence[int]) -> CopiesStep:
        self.n = len(seeds)
        return self._together("reset", seeds)

    def step(self, actions: Int[ndarray, "B N"]) -> CopiesStep:
        return self._together("step", actions)

    def picture(self, copy: int) -> UInt8[ndarray, "H W 3"]:
        worker, own = copy % self.count, copy // self.count
        self._send(worker, "picture", own)
        picture: UInt8[ndarray, "H W 3"] = _raised(self._receive(worker))
        return picture

    def _together(self, method: str, given: Any) -> CopiesStep:
        """One message to each worker that has copies, then one answer from each."""
        busy = range(min(self.count, len(given)))
        for worker in busy:
            self._send(worker, method, given[worker :: self.count])
        answers = [self._receive(worker) for worker in busy]
        return interleaved([_raised(answer) for answer in answers])

    def _send(self, worker: int, method: str, given: Any) -> None:
        with suppress(BrokenPipeError):  # reported by `_receive`
            self.pipes[worker].send((method, given))

    def _receive(self, worker: int) -> Any:
        try:
            return self.pipes[worker].recv()
        except (EOFError, ConnectionResetError) as error:
            status = self.processes[worker].wait()
            copies = ", ".join(map(str, range(worker, self.n, self.count)))
            raise WorldError(
                f"{self.source.name} ended its process, with exit status {status}, in one of the copies {copies}.\n"
                "  next: read what it wrote above; env.workers=0 runs it in this process"
            ) from error


def interleaved(shares: Sequence[CopiesStep]) -> CopiesStep:
    """The copies of all workers in their order: copy i is one of worker i modulo their number."""
    n, count = sum(len(share.terminated) for share in shares), len(shares)

    def whole(parts: Sequence[ndarray]) -> ndarray:
        merged = np.empty((n, *parts[0].shape[1:]), dtype=parts[0].dtype)
        for worker, part in enumerate(parts):
            merged[worker::count] = part
        return merged

    return CopiesStep(*map(whole, zip(*shares, strict=True)))


def _raised(answer: Any) -> Any:
    if isinstance(answer, UserError):
        raise answer
    return answer


def _start(descriptor: int) -> "subprocess.Popen[bytes]":
    """A process that serves the other end of a pipe, with one thread and the same import path."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve({descriptor})"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        pass_fds=[descriptor],
        start_new_session=True,
    )


def _end(pipes: Sequence[Connection], processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve(descriptor: int) -> None:
    """The main function of a worker: answers calls of `Copies` until the pipe closes. It ignores signals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    copies: Copies | None = None
    with suppress(EOFError, ConnectionError), Connection(descriptor) as pipe:
        source, options = pipe.recv()
        while True:
            method, given = pipe.recv()
            try:
                copies = copies or Copies(source, **options)
                answer = getattr(copies, method)(given)
            except UserError as error:
                error.add_note("".join(traceback.format_exception(error)))  # all that pickle keeps of the traceback
                answer = error
            pipe.send(answer)
