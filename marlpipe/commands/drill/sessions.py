"""Training in processes of their own, and three ways to end one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder

PATIENCE_S = 300.0  # for what should take seconds
LOOK_S = 0.02
STARTED: list[int] = []  # process groups


class Session(Protocol):
    """A way to train, and to be cut off."""

    name: str

    def start(self, overrides: Sequence[str], folder: RunFolder) -> None:
        """Returns once the run says that it is running."""

    def strike(self) -> None:
        """Cuts the training off, and returns once nothing of it is left."""

    def over(self) -> bool:
        """Whether the training has ended by itself."""


class Signalled:
    """`python -m marlpipe`, and a signal to it."""

    def __init__(self, number: signal.Signals) -> None:
        self.name, self._number = number.name, number

    def start(self, overrides: Sequence[str], folder: RunFolder) -> None:
        self._process = training(overrides)
        wait_until(lambda: folder.status.pid == self._process.pid or self.over(), "the run to start")

    def strike(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, self._number)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise UserError(f"the run did not end by {self.name} within {PATIENCE_S:g} s") from error

    def over(self) -> bool:
        return self._process.poll() is not None


class Preempted:
    """A job of submitit that gets SIGUSR2, is requeued, resumes for a little while, and is killed."""

    name = "SIGUSR2 through submitit, then SIGKILL"

    def start(self, overrides: Sequence[str], folder: RunFolder) -> None:
        self._folder, before = folder, folder.status.pid
        grid = training([*overrides, "hydra/launcher=submitit_local"], grid=True)
        self._group = grid.pid
        if grid.wait(PATIENCE_S):
            raise UserError("the run could not be submitted: see above")
        wait_until(lambda: folder.status.pid != before or self.over(), "submitit to start the run")

    def strike(self) -> None:
        run = self._folder.status.pid
        if run is not None and not self.over():
            with suppress(ProcessLookupError):
                os.kill(parent(parent(run)), signal.SIGUSR2)
            wait_until(lambda: self._folder.status.pid != run or self.over(), "submitit to start the run again")
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)  # before its runs: it would start them again
        after = self._folder.status.pid
        if after is not None and not self.over():
            with suppress(ProcessLookupError):
                os.kill(after, signal.SIGKILL)
            wait_until(lambda: not alive(after), "the run to end")

    def over(self) -> bool:
        return self._folder.status.state in ("finished", "failed")


def training(overrides: Sequence[str], *, grid: bool = False) -> "subprocess.Popen[bytes]":
    """Starts `python -m marlpipe` in a process group of its own; what it prints goes to our errors."""
    command = [sys.executable, "-m", "marlpipe", *(["-m"] if grid else []), *overrides]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True)
    STARTED.append(process.pid)
    return process


def end_all() -> None:
    """Nothing that was started here goes on."""
    for group in STARTED:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def wait_until(true: Callable[[], bool], what: str) -> None:
    """UserError after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise UserError(f"waited {PATIENCE_S:g} s for {what}, in vain")
        time.sleep(LOOK_S)


def parent(pid: int) -> int:
    """The process that started another. ProcessLookupError where there is none."""
    listed = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    if not listed.strip():
        raise ProcessLookupError(pid)
    return int(listed)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    state = Path(f"/proc/{pid}/stat")
    if state.parent.parent.is_dir() and Path("/proc/self").exists():
        try:
            return state.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
