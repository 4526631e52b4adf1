"""`hydra/launcher=submitit_local`: what a cluster would do, on this machine, to try it."""

from pathlib import Path

from submitit import LocalExecutor
from submitit.core.core import Executor

from hydra_plugins._marlpipe_cluster import ClusterLauncher
from hydra_plugins._marlpipe_cluster_plan import Array, Resources

NO_LIMIT = 10**6  # jobs: they are processes, and all start at once


class SubmititLocalLauncher(ClusterLauncher):
    """Jobs as processes of this machine, with time limits, signals and requeues as a cluster has them."""

    cluster = "local"

    def executor(self, resources: Resources, runs: int, folder: Path) -> Executor:
        del runs
        executor = LocalExecutor(folder=folder / "%j", max_num_timeout=self._requeues)
        executor.update_parameters(
            timeout_min=resources.minutes,
            gpus_per_node=resources.gpus,
            signal_delay_s=self._grace_s,
            stderr_to_stdout=True,
        )
        return executor

    def script(self, array: Array, folder: Path) -> str:
        return f"python -m submitit.local._local {folder / '%j'}    # {len(array.jobs)} times, at the same time"

    def largest_array(self) -> int:
        return NO_LIMIT

    def queued_jobs(self) -> set[str]:
        return set()
