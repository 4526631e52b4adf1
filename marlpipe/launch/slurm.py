"""`hydra/launcher=slurm`: job arrays of a Slurm cluster."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig
from submitit import SlurmExecutor
from submitit.core.core import Executor
from submitit.slurm.slurm import _make_sbatch_string  # the only way to see a script without a cluster

from marlpipe.errors import Bound, UserError, check_number
from marlpipe.launch.cluster import ClusterLauncher
from marlpipe.launch.cluster_plan import Array, Resources
from marlpipe.runs.slurm import known_jobs

AT_ONCE, MAX_ARRAY = Bound(1), Bound(1, or_null=True)
NAME = re.compile(r"[\w.+:-]+", re.ASCII)  # of a job
COUNTED = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")  # options of sbatch that ask for GPUs
OURS = {  # options of sbatch, and the keys that say the same, by which jobs are planned
    "partition": "queue",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "wckey": "wckey",
    "job-name": "name",
    "time": "hours",
    "cpus-per-task": "cpus",
    "mem": "memory_gib",
    "mem-per-cpu": "memory_gib",
    "mem-per-gpu": "memory_gib",
    "array": "at_once",
    "signal": "grace_s",
    "requeue": "requeues",
}
USUAL_LARGEST_ARRAY = 1001  # Slurm's own default, where no cluster can be asked


class SlurmLauncher(ClusterLauncher):
    """Submits through submitit, which puts a job that is preempted or out of time back into the queue.

    Args:
        queue: Slurm's partition. None: the cluster's default.
        account, qos, constraint, wckey: as sbatch takes them. None: the cluster's default.
        name: of the jobs. None: environment and algorithm.
        python: the command that starts the interpreter of the job, as in a container. None: this interpreter.
        at_once: most jobs of an array that run at the same time.
        max_array: most jobs of an array. None: what the cluster says.
        setup: lines of shell before the job starts, as to load modules.
        extra: further options of sbatch, by their long names.
        resources: as `ClusterLauncher` takes them.

    Raises:
        UserError: a number is out of its bounds, the name is none, or `extra` has what another key says.
    """

    cluster = "slurm"

    def __init__(
        self,
        *,
        queue: str | None,
        account: str | None,
        qos: str | None,
        constraint: str | None,
        wckey: str | None,
        name: str | None,
        python: str | None,
        at_once: Annotated[int, AT_ONCE],
        max_array: Annotated[int | None, MAX_ARRAY],
        setup: Sequence[str],
        extra: Mapping[str, Any],
        **resources: Any,
    ) -> None:
        super().__init__(**resources)
        check_number("hydra.launcher.at_once", at_once, AT_ONCE)
        check_number("hydra.launcher.max_array", max_array, MAX_ARRAY)
        if name is not None and not NAME.fullmatch(name):
            raise UserError(f"hydra.launcher.name cannot be {name!r}.\n  valid: letters, digits, and any of _ . + : -")
        for option in extra:
            if key := OURS.get(str(option).replace("_", "-")):
                raise UserError(
                    f"hydra.launcher.extra.{option}: jobs are planned by hydra.launcher.{key}, which says the same.\n"
                    f"  next: hydra.launcher.{key} instead"
                )
        self._asked = {"partition": queue, "account": account, "qos": qos, "constraint": constraint}
        self._wckey, self._name, self._python = wckey, name, python or shlex.quote(sys.executable)
        self._at_once, self._max_array = at_once, max_array
        self._setup, self._extra = list(setup), dict(extra)

    def needed(self, config: DictConfig) -> Resources:
        need = super().needed(config)
        for option, value in self._extra.items():
            count = gpus_asked(str(option), str(value))
            if count is not None and count != need.gpus:
                key = f"hydra.launcher.extra.{option}"
                raise UserError(
                    f"{key}={value} asks for {count} GPUs, and jobs are planned with {need.gpus}.\n"
                    f"  next: hydra.launcher.gpus={count}; in addition {key} only to choose their type"
                )
        return need

    def executor(self, resources: Resources, runs: int, name: str, folder: Path) -> Executor:
        try:
            executor = SlurmExecutor(folder=folder / "%j", max_num_timeout=self._requeues, python=self._python)
        except RuntimeError as error:
            raise UserError(
                "there is no Slurm here: srun was not found\n"
                "  Submit from a login node of the cluster; or hydra/launcher=local runs the grid on this machine.\n"
                "  hydra.launcher.dry_run=true shows anywhere what would be submitted."
            ) from error
        executor.update_parameters(**self._parameters(resources, runs, name))
        return executor

    def script(self, array: Array, name: str, folder: Path) -> str:
        jobs = len(array.jobs)
        return _make_sbatch_string(
            command=f"{self._python} -u -m submitit.core._submit {shlex.quote(str(folder / '%j'))}",
            folder=folder / "%j",
            map_count=jobs if jobs > 1 else None,
            **self._parameters(array.resources, len(array.jobs[0]), name),
        )

    def _parameters(self, resources: Resources, runs: int, name: str) -> dict[str, Any]:
        cores, memory = resources.of_job(runs)
        typed = any(gpus_asked(str(option), str(value)) is not None for option, value in self._extra.items())
        return {
            **{name: value for name, value in self._asked.items() if value is not None},
            **({"gpus_per_node": resources.gpus} if resources.gpus and not typed else {}),
            "wckey": self._wckey,  # None leaves out submitit's own, which some clusters refuse
            "job_name": self._name or name,
            "time": resources.minutes,
            "cpus_per_task": cores,
            "mem": f"{round(1024 * memory)}MB",
            "signal_delay_s": self._grace_s,
            "array_parallelism": self._at_once,
            "setup": self._setup or None,
            "stderr_to_stdout": True,
            "additional_parameters": {"requeue": True, **self._extra},
        }

    def largest_array(self) -> int:
        if self._max_array is not None:
            return self._max_array
        try:
            command = ["scontrol", "show", "config"]
            settings = subprocess.run(
                command, capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return USUAL_LARGEST_ARRAY
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", settings, re.MULTILINE)
        return int(found.group(1)) if found else USUAL_LARGEST_ARRAY

    def queued_jobs(self) -> set[str]:
        return set(known_jobs() or {})


def gpus_asked(option: str, value: str) -> int | None:
    """How many GPUs a job gets by an option of sbatch, such as gres=gpu:a100:2; None for one that asks for none."""
    option = option.replace("_", "-")
    if option not in COUNTED:
        return None
    parts = [part.partition("(")[0].split(":") for part in value.split(",")]
    if option == "gres":
        parts = [part[1:] for part in parts if part[0] == "gpu"]
        if not parts:
            return None
    counts = [part[-1] if part else "1" for part in parts]
    return sum(int(count) if count.isdecimal() else 1 for count in counts)
