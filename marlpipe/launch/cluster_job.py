"""One job of a cluster: a few runs side by side, each a process of its own, that survive preemption and time limits."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from marlpipe.errors import UserError
from marlpipe.launch.free_memory import Memory
from marlpipe.launch.pool import RunPool
from marlpipe.launch.run_process import Job
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.live import GridDisplay
from marlpipe.runs.lock import owner
from marlpipe.runs.provenance import COMMAND_VARIABLE
from marlpipe.runs.status import State
from marlpipe.runs.terminal import make_streams_usable

OWNED_ELSEWHERE_S = 30.0  # between two looks at a run that another process still owns
SAVING = 0.75  # of the grace that runs get to save themselves, before they are ended while the job is put back
OVER = ("finished", "failed")
AGAIN = "preempted or out of time: the cluster starts it again, and it goes on from its checkpoint"
ENOUGH = "out of time as often as hydra.launcher.requeues allows; the same command goes on"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is known of a run when it is submitted."""

    folder: Path
    call: bytes


@dataclass(frozen=True, kw_only=True)
class RunsOfOneJob:
    """What submitit calls on the node, again after every requeue; runs that have ended by then are left alone.

    threads: of each run. memory_gib: that each may need. grace_s: seconds to save when the cluster wants its node back.
    preload: modules to import once for all runs. command: what the user typed.
    """

    runs: Sequence[Run]
    threads: int
    memory_gib: float | int
    grace_s: float | int
    preload: Sequence[str]
    command: str

    def __call__(self) -> None:
        """Returns when all runs have ended, in whatever way each of them does: its status file says so."""
        make_streams_usable()
        common = {**os.environ, COMMAND_VARIABLE: self.command, "MARLPIPE_THREADS": str(self.threads)}
        common["OMP_NUM_THREADS"] = str(self.threads)
        pool = RunPool(
            processes=len(self.runs),
            preload=self.preload,
            environment=common,
            grace_s=(1 - SAVING) * self.grace_s,
            memory=Memory(peak_gib=self.memory_gib),
        )
        POOLS.append(pool)
        shares = [common | visible for visible in gpu_shares(os.environ.get("CUDA_VISIBLE_DEVICES"), len(self.runs))]
        jobs = [
            Job(folder=run.folder, call=run.call, environment=share)
            for run, share in zip(self.runs, shares, strict=True)
        ]
        left = [job for job in jobs if RunFolder(job.folder).status.state not in OVER]
        try:
            while left:
                with GridDisplay(folders=[RunFolder(job.folder) for job in left]) as display:
                    pool.run(left, display.refresh)
                left = [job for job in left if owner(RunFolder(job.folder).lock)]
                if left:
                    time.sleep(OWNED_ELSEWHERE_S)
        except UncompletedJobError:
            self.record("interrupted", ENOUGH)
            raise
        except SystemExit:
            self.record("queued", AGAIN)  # again: the pool has recorded them as stopped while they ended
            raise

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit, from its signal handler, before it puts the job back into the queue."""
        for pool in POOLS:
            pool.ask(signal.SIGUSR2, patience_s=SAVING * self.grace_s)
        self.record("queued", AGAIN)
        return DelayedSubmission(self)

    def record(self, state: State, reason: str) -> None:
        """Writes a state into the status files of the runs that have not ended, and that no other process trains."""
        for run in self.runs:
            folder = RunFolder(run.folder)
            try:
                if folder.status.state not in OVER and owner(folder.lock) is None:
                    folder.update_status(state=state, reason=reason)
            except UserError as error:
                print(error, file=sys.stderr)


POOLS: list[RunPool] = []  # of this process, for its signal handler


def gpu_shares(visible: str | None, runs: int) -> list[dict[str, str]]:
    """For each run, the variable that shows it one of the job's GPUs, in turn; nothing where the job has none."""
    gpus = [gpu for gpu in (visible or "").split(",") if gpu]
    return [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {} for number in range(runs)]
