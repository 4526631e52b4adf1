"""Submits a grid to a cluster and returns at once: how the runs end is in their folders."""

import logging
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from submitit.core.core import Executor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from marlpipe.errors import Bound, UserError, check_number, unknown
from marlpipe.launch.cluster_job import Run, RunsOfOneJob
from marlpipe.launch.cluster_plan import BOUNDS, Array, Resources, arrays, needed
from marlpipe.launch.job_configs import JobConfigs
from marlpipe.launch.run_task import RunTask, job_folder
from marlpipe.runs.files import read_json, write_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.local_jobs import this_host
from marlpipe.runs.lock import owner
from marlpipe.runs.provenance import command_line, software_and_machine

log = logging.getLogger(__name__)

GRACE, REQUEUES = Bound(1), Bound(0)


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run before it is submitted, with the resources and modules that it needs."""

    run: Run
    name: str  # environment and algorithm
    resources: Resources
    preload: Sequence[str]


class ClusterLauncher(Launcher):
    """A Hydra launcher that hands runs to a queue. Runs that are finished, queued or running already are skipped.

    Args:
        gpus, hours, cpus, memory_gib, runs_per_job: what jobs ask for, see `Resources`.
        algo, env: for options of these groups, resources that differ.
        grace_s: seconds between the warning that a job is about to be ended and its end.
        requeues: how often a job that ran out of time is started again.
        dry_run: print what would be submitted, and submit nothing.
    """

    cluster: str  # its name in submission.json

    def __init__(
        self,
        *,
        gpus: Annotated[int, BOUNDS["gpus"]],
        cpus: Annotated[int, BOUNDS["cpus"]],
        memory_gib: Annotated[float | int, BOUNDS["memory_gib"]],
        hours: Annotated[float | int, BOUNDS["hours"]],
        runs_per_job: Annotated[int, BOUNDS["runs_per_job"]],
        algo: Mapping[str, Any],
        env: Mapping[str, Any],
        grace_s: Annotated[int, GRACE],
        requeues: Annotated[int, REQUEUES],
        dry_run: bool,
    ) -> None:
        self._usual = Resources(gpus=gpus, cpus=cpus, memory_gib=memory_gib, hours=hours, runs_per_job=runs_per_job)
        check_number("hydra.launcher.grace_s", grace_s, GRACE)
        check_number("hydra.launcher.requeues", requeues, REQUEUES)
        self._own = {"algo": algo, "env": env}
        self._grace_s, self._requeues, self._dry_run = grace_s, requeues, dry_run

    @abstractmethod
    def executor(self, resources: Resources, runs: int, name: str, folder: Path) -> Executor:
        """What submits jobs of so many runs each under a name, and keeps its own files in a folder."""

    @abstractmethod
    def script(self, array: Array, name: str, folder: Path) -> str:
        """What would be submitted, for a person."""

    @abstractmethod
    def largest_array(self) -> int:
        """How many jobs can be submitted at once."""

    @abstractmethod
    def queued_jobs(self) -> set[str]:
        """The jobs that wait or run."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's call before the launch."""
        self._task = RunTask(hydra_context, task_function)
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submits what is not done, waiting or running. Two lists of overrides that would share a folder are one run.

        Returns:
            Nothing: no job is over yet.

        Raises:
            UserError: there is no such cluster here, it refuses the jobs, or a folder cannot be written.
            SystemExit: with 0, after a dry run.
        """
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        self._check_names()
        configs = JobConfigs(self._context, self._config)
        runs: dict[Path, PlannedRun] = {}
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = configs.config(overrides, number)
            folder = job_folder(config)
            runs[folder] = PlannedRun(
                run=Run(folder=folder, call=self._task.call(config)),
                name=run_name(config),
                resources=self.needed(config),
                preload=self._task.preload(config),
            )
        left = [runs[folder] for folder in self._left(list(runs))]
        planned = arrays([run.resources for run in left], self.largest_array())
        kept = Path(str(self._config.hydra.sweep.dir)).absolute() / ".jobs"  # submitit's own files
        if self._dry_run:
            for array in planned:
                print(f"\n# {describe(array)}\n{self.script(array, job_name(array, left), kept)}")
            print(f"\nnothing was submitted: {total(planned)}")
            raise SystemExit(0)
        for array in planned:
            self._submit(array, [[left[number] for number in job] for job in array.jobs], job_name(array, left), kept)
        return []

    def _left(self, folders: Sequence[Path]) -> list[Path]:
        """The runs that are neither finished, nor queued, nor running."""
        queued = self.queued_jobs()
        finished = [folder for folder in folders if RunFolder(folder).status.state == "finished"]
        owned = [folder for folder in folders if owner(RunFolder(folder).lock)]
        waiting = [
            folder
            for folder in folders
            if folder not in finished and (read_json(RunFolder(folder).submission) or {}).get("job") in queued
        ]
        busy = {*finished, *owned, *waiting}
        log.info(
            "%d runs: %d finished, %d running or queued already, %d to submit",
            len(folders),
            len(finished),
            len({*owned, *waiting} - {*finished}),
            len(folders) - len(busy),
        )
        return [folder for folder in folders if folder not in busy]

    def _check_names(self) -> None:
        for group, own in self._own.items():
            valid = self._context.config_loader.get_group_options(group)
            for option in own:
                if valid and option not in valid:
                    raise unknown(f"hydra.launcher.{group}: the option", str(option), valid)

    def needed(self, config: DictConfig) -> Resources:
        """What a run's job asks for. UserError where that does not go together."""
        chosen = config.hydra.runtime.choices
        need = needed(self._usual, {group: own.get(str(chosen.get(group))) for group, own in self._own.items()})
        if 60 * need.minutes <= self._grace_s:
            raise UserError(
                f"hydra.launcher.hours={need.hours:g} is no longer than hydra.launcher.grace_s={self._grace_s}\n"
                "  valid: a time limit that is longer than the seconds that a run gets to save itself"
            )
        return need

    def _submit(self, array: Array, jobs: Sequence[Sequence[PlannedRun]], name: str, kept: Path) -> None:
        calls = [
            RunsOfOneJob(
                runs=[planned.run for planned in job],
                threads=array.resources.cpus,
                memory_gib=array.resources.memory_gib,
                grace_s=self._grace_s,
                preload=job[0].preload,
                command=command_line(),
            )
            for job in jobs
        ]
        folders = [[RunFolder(planned.run.folder).create() for planned in job] for job in jobs]
        for folder in (folder for job in folders for folder in job):
            folder.submission.unlink(missing_ok=True)  # that of a job that is over
            folder.update_status(state="queued", reason=None, grid=None)
        executor = self.executor(array.resources, len(jobs[0]), name, kept)
        try:
            with executor.batch():
                submitted = [executor.submit(call) for call in calls]
        except (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError, OSError) as error:
            for folder in (folder for job in folders for folder in job):
                folder.update_status(state="interrupted", reason="it could not be submitted")
            raise UserError(f"{self.cluster} refused {describe(array)}:\n  {error}") from error
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for job, runs in zip(submitted, folders, strict=True):
            for folder in runs:
                entry = {"job": job.job_id, "cluster": self.cluster, "host": this_host(), "submitted": now}
                entry["log"] = str(job.paths.stdout)
                write_json(
                    folder.submission, {**entry, "command": command_line(), "code": software_and_machine()["git"]}
                )
        ids = [job.job_id for job in submitted]
        log.info("%s: %s", describe(array), ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}")


def run_name(config: DictConfig) -> str:
    """Environment and algorithm, such as cartpole-qmix; that of the application where it has neither."""
    chosen = config.hydra.runtime.choices
    parts = [str(chosen[group]) for group in ("env", "algo") if group in chosen]
    return "-".join(parts).replace("/", "-") or str(config.hydra.job.name)


def job_name(array: Array, planned: Sequence[PlannedRun]) -> str:
    """The name of its runs; where they have several, the first, and how many more, as cartpole-qpro+2."""
    first, *others = dict.fromkeys(planned[number].name for job in array.jobs for number in job)
    return f"{first}+{len(others)}" if others else first


def describe(array: Array) -> str:
    """An array in words."""
    need, jobs = array.resources, len(array.jobs)
    cores, memory = need.of_job(len(array.jobs[0]))
    each = f"{need.gpus} GPU, {cores} cores, {memory:g} GiB, at most {need.hours:g} h"
    runs = "1 run" if len(array.jobs[0]) == 1 else f"{len(array.jobs[0])} runs"
    return f"{jobs} job{'s' * (jobs > 1)} of {runs} ({each} each)"


def total(planned: Sequence[Array]) -> str:
    """The sums over all arrays, in words."""
    jobs, runs = sum(len(array.jobs) for array in planned), sum(array.runs for array in planned)
    gpu, core = sum(array.gpu_hours for array in planned), sum(array.core_hours for array in planned)
    return f"{runs} runs in {jobs} jobs, at most {gpu:g} GPU-hours and {core:g} core-hours without requeues"
