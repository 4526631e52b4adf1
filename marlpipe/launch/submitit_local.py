"""`hydra/launcher=submitit_local`: a cluster's behaviour on this machine, to try it."""

from pathlib import Path
from typing import Annotated, Any

from submitit import LocalExecutor
from submitit.core.core import Executor

from marlpipe.errors import Bound, check_number
from marlpipe.launch.cluster import ClusterLauncher
from marlpipe.launch.cluster_plan import Array, Resources
from marlpipe.runs.local_jobs import CONTROLLER, local_jobs

NO_LIMIT = 10**6  # jobs: they are processes, and all start at once
SESSIONS = 6  # of a job; submitit's controller of local jobs then gives up
REQUEUES = Bound(0, SESSIONS - 1)
SHELL = (
    "trap : EXIT",  # some shells would else become the controller, which asks for its parent's id
    "exec </dev/null >/dev/null 2>&1",  # a reader of the command's output must not wait for the jobs
)


class SubmititLocalLauncher(ClusterLauncher):
    """Jobs as processes of this machine, with time limits, signals and requeues as a cluster has them."""

    cluster = "local"

    def __init__(self, *, requeues: Annotated[int, REQUEUES], **resources: Any) -> None:
        super().__init__(requeues=requeues, **resources)
        check_number("hydra.launcher.requeues", requeues, REQUEUES)

    def executor(self, resources: Resources, runs: int, name: str, folder: Path) -> Executor:
        del runs, name
        executor = LocalExecutor(folder=folder / "%j", max_num_timeout=self._requeues)
        executor.update_parameters(
            timeout_min=resources.minutes,
            gpus_per_node=resources.gpus,
            signal_delay_s=self._grace_s,
            stderr_to_stdout=True,
            setup=SHELL,
        )
        return executor

    def script(self, array: Array, name: str, folder: Path) -> str:
        del name
        jobs = len(array.jobs)
        return f"python -m {CONTROLLER} {folder / '%j'}" + f"    # {jobs} times, at the same time" * (jobs > 1)

    def largest_array(self) -> int:
        return NO_LIMIT

    def queued_jobs(self) -> set[str]:
        """The controllers that live; none where that is not known: a run's lock keeps it from being trained twice."""
        return local_jobs() or set()
