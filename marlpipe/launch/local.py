"""Runs a grid on this machine: a process of its own for every run, as many at once as cores and memory allow."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from marlpipe.errors import Bound, check_number
from marlpipe.launch.free_memory import GIB, Memory
from marlpipe.launch.job_configs import JobConfigs
from marlpipe.launch.pool import RunPool, record_unstarted
from marlpipe.launch.run_process import Job
from marlpipe.launch.run_task import RunTask, job_folder, job_return
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.grid import living_grid
from marlpipe.runs.live import GridDisplay
from marlpipe.runs.lock import owner
from marlpipe.runs.provenance import COMMAND_VARIABLE, command_line, cores

PROCESSES = THREADS = Bound(1, 10_000, or_null=True)
MEMORY, GRACE = Bound(0, integer=False, or_null=True), Bound(0, integer=False)
THREADS_VARIABLE = "MARLPIPE_THREADS"

log = logging.getLogger(__name__)


class LocalLauncher(Launcher):
    """A Hydra launcher for grids of small runs.

    How each run ended is in its folder's status file. A run that fails neither stops the others nor makes the sweep
    raise: a report on the sweep reads the status files.

    Args:
        processes: runs at the same time. None: as many as there are runs, at most one per core.
        threads: threads of each run. None: the cores divided by the processes.
        memory_gib: what a run needs at most, in GiB. None: 2, or the largest peak seen so far. A run that would not
            fit waits.
        grace_s: seconds that runs get to save themselves after a Ctrl-C, before they are terminated.
    """

    def __init__(
        self,
        *,
        processes: Annotated[int | None, PROCESSES] = None,
        threads: Annotated[int | None, THREADS] = None,
        memory_gib: Annotated[float | int | None, MEMORY] = None,
        grace_s: Annotated[float | int, GRACE] = 30,
    ) -> None:
        check_number("hydra.launcher.processes", processes, PROCESSES)
        check_number("hydra.launcher.threads", threads, THREADS)
        check_number("hydra.launcher.memory_gib", memory_gib, MEMORY)
        check_number("hydra.launcher.grace_s", grace_s, GRACE)
        self._processes = processes
        self._threads = threads
        self._memory_gib = memory_gib
        self._grace_s = grace_s

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's call before the launch."""
        self._task = RunTask(hydra_context, task_function)
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs a job per list of overrides, but for those that are finished. Two that would share a folder are one run.

        Raises:
            UserError: the task function cannot be imported by another process, or a folder cannot be written.
            SystemExit: with 130 after a Ctrl-C, with 143 after a SIGTERM, once all runs have stopped.
        """
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        processes, threads = share_cores(
            runs=len(job_overrides), cores=cores(), processes=self._processes, threads=self._threads
        )
        environment = {
            **os.environ,
            COMMAND_VARIABLE: command_line(),
            THREADS_VARIABLE: str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
        configs = JobConfigs(self._context, self._config)
        first = configs.config(job_overrides[0], initial_job_idx)
        memory = Memory(peak_gib=self._memory_gib)
        pool = RunPool(  # it imports the runs' code while the configs are made
            processes=processes,
            preload=self._task.preload(first),
            environment=environment,
            grace_s=self._grace_s,
            memory=memory,
        )
        folders: list[Path] = []
        jobs: dict[Path, Job] = {}
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = configs.config(overrides, number)
            folders.append(job_folder(config))
            if RunFolder(folders[-1]).create().status.state != "finished":
                jobs[folders[-1]] = Job(call=self._task.call(config), folder=folders[-1], environment=environment)
        count = len(set(folders))
        log.info(
            "%d runs, %d finished already, %d at a time, %d threads each%s",
            count,
            count - len(jobs),
            min(processes, count),
            threads,
            _describe(memory),
        )
        root = Path(str(self._config.hydra.sweep.dir))
        values = dict(zip(jobs, _run(pool, list(jobs.values()), root), strict=True)) if jobs else {}
        name = first.hydra.job.name
        return [
            job_return(name, overrides, values.get(folder))
            for folder, overrides in zip(folders, job_overrides, strict=True)
        ]


def _run(pool: RunPool, jobs: Sequence[Job], root: Path) -> list[float | int | None]:
    """Runs all jobs, and in whatever way that ends, none is left that says it waits."""
    folders = [RunFolder(job.folder) for job in jobs]
    with living_grid(root) as grid, _stopped_by_sigterm() as came:
        try:
            for folder in folders:
                if owner(folder.lock) is None:
                    folder.submission.unlink(missing_ok=True)  # to a cluster, earlier
                    folder.update_status(state="queued", reason=None, grid=grid)
            with GridDisplay(folders=folders) as display:
                return pool.run(jobs, display.refresh)
        except KeyboardInterrupt:
            print("stopped. The same command goes on where the runs left off.", file=sys.stderr)
            raise SystemExit(128 + (came[0] if came else signal.SIGINT)) from None
        finally:
            record_unstarted(folders)


@contextmanager
def _stopped_by_sigterm() -> Iterator[list[int]]:
    """Inside, SIGTERM does what Ctrl-C does; yields the signals that came."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def share_cores(*, runs: int, cores: int, processes: int | None, threads: int | None) -> tuple[int, int]:
    """How many runs at a time, and how many threads each, so that all cores work and none is fought over.

    What is given stays as it is, even where that asks for more than there is.
    """
    if processes is None:
        processes = max(1, min(runs, cores // (threads or 1)))
    return processes, threads or max(1, cores // processes)


def _describe(memory: Memory) -> str:
    if memory.free is None:
        return ""
    return f"; {memory.free / GIB:.1f} GiB of memory are free, and a run may need {memory.peak / GIB:.1f} GiB"
