"""`hydra/launcher=slurm`: job arrays of a Slurm cluster."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.core import Executor
from submitit.slurm.slurm import _make_sbatch_string  # the only way to see a script without a cluster

from marlpipe.errors import Bound, UserError, check_number
from marlpipe.launch.cluster import ClusterLauncher
from marlpipe.launch.cluster_plan import Array, Resources
from marlpipe.runs.slurm import known_jobs

USUAL_LARGEST_ARRAY = 1001  # Slurm's own default, where no cluster can be asked


class SlurmLauncher(ClusterLauncher):
    """Submits through submitit, which puts a job that is preempted or out of time back into the queue.

    Args:
        queue: Slurm's partition. None: the cluster's default.
        account, qos, constraint: as sbatch takes them. None: the cluster's default.
        at_once: most jobs of an array that run at the same time.
        max_array: most jobs of an array. None: what the cluster says.
        setup: lines of shell before the job starts, as to load modules.
        extra: further options of sbatch, by their long names.
        resources: as `ClusterLauncher` takes them.
    """

    cluster = "slurm"

    def __init__(
        self,
        *,
        queue: str | None,
        account: str | None,
        qos: str | None,
        constraint: str | None,
        at_once: int,
        max_array: int | None,
        setup: Sequence[str],
        extra: Mapping[str, Any],
        **resources: Any,
    ) -> None:
        super().__init__(**resources)
        check_number("hydra.launcher.at_once", at_once, Bound(1))
        check_number("hydra.launcher.max_array", max_array, Bound(1, or_null=True))
        self._asked = {"partition": queue, "account": account, "qos": qos, "constraint": constraint}
        self._at_once, self._max_array = at_once, max_array
        self._setup, self._extra = list(setup), dict(extra)

    def executor(self, resources: Resources, runs: int, folder: Path) -> Executor:
        try:
            executor = SlurmExecutor(folder=folder / "%j", max_num_timeout=self._requeues)
        except RuntimeError as error:
            raise UserError(
                "there is no Slurm here: srun was not found\n"
                "  Submit from a login node of the cluster; or hydra/launcher=local runs the grid on this machine.\n"
                "  hydra.launcher.dry_run=true shows anywhere what would be submitted."
            ) from error
        executor.update_parameters(**self._parameters(resources, runs))
        return executor

    def script(self, array: Array, folder: Path) -> str:
        jobs = len(array.jobs)
        return _make_sbatch_string(
            command=f"python -u -m submitit.core._submit {folder / '%j'}",
            folder=folder / "%j",
            map_count=jobs if jobs > 1 else None,
            **self._parameters(array.resources, len(array.jobs[0])),
        )

    def _parameters(self, resources: Resources, runs: int) -> dict[str, Any]:
        cores, memory = resources.of_job(runs)
        return {
            **{name: value for name, value in self._asked.items() if value is not None},
            **({"gpus_per_node": resources.gpus} if resources.gpus else {}),
            "job_name": "marlpipe",
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
            settings = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return USUAL_LARGEST_ARRAY
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", settings, re.MULTILINE)
        return int(found.group(1)) if found else USUAL_LARGEST_ARRAY

    def queued_jobs(self) -> set[str]:
        return set(known_jobs() or {})
