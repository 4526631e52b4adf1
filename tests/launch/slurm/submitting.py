"""Grids of marlpipe on the tests' own Slurm, as a person submits them."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from tests.launch.slurm.cluster import Cluster

PATIENCE_S = 240.0
SMALL = (
    *("env=cartpole", "env.n_agents=2", "env.time_limit=20", "evaluation.every_env_steps=300", "evaluation.episodes=2"),
    "evaluation.films=0",
    *("profile.batch_episodes=4", "profile.parallel_episodes=2", "profile.replay_episodes=20", "agent.hidden=8"),
    *("record_every_env_steps=100", "trainer=cpu", "threads=1", "logger=none", "checkpoint_minutes=0.02"),
)
ON_SLURM = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus=1", "hydra.launcher.memory_gib=0.9")


class Grid:
    """A grid in a folder of its own.

    Args:
        cluster: where it is submitted; what runs on this machine does not need one.
        folder: where the command is issued.
        swept: what its runs differ in, and other settings.
    """

    def __init__(self, cluster: Cluster, folder: Path, *swept: str) -> None:
        register_resolvers()
        self.cluster, self.folder, self.overrides = cluster, folder, [*SMALL, *swept]
        folder.mkdir(exist_ok=True)
        planned = planned_folders(self.overrides, config_folder(), sweep=True)
        self.runs = [RunFolder(folder / path) for path in planned]

    def submit(self, *settings: str) -> str:
        """Issues the command for the cluster, which returns at once; what it printed."""
        return self._issue(*ON_SLURM, *settings)

    def train_here(self) -> None:
        """The same grid on this machine, to its end."""
        self._issue()

    def _issue(self, *settings: str) -> str:
        command = [sys.executable, "-m", "marlpipe", "-m", *self.overrides, *settings]
        environment = {**self.cluster.environment, "OMP_NUM_THREADS": "1"}
        issued = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert issued.returncode == 0, issued.stdout + issued.stderr
        return issued.stdout

    @property
    def states(self) -> list[str]:
        return [run.status.state for run in self.runs]

    @property
    def jobs(self) -> list[str]:
        """The job of each run, by its array's name."""
        return [submission(run) for run in self.runs]

    def wait_until(self, true: Callable[[], bool]) -> None:
        self.cluster.wait_until(true, patience_s=PATIENCE_S)

    def wait_until_over(self) -> None:
        """No run waits or trains, and the cluster knows of no job."""
        self.wait_until(lambda: all(run.status.ended for run in self.runs) and not self.cluster.queue())


def submission(run: RunFolder) -> str:
    """The job that a run was submitted as."""
    return str(read_json(run.submission)["job"])


def process_of(run: RunFolder) -> int:
    """Of a run that trains."""
    assert run.status.pid
    return run.status.pid


def is_signalled(process: int) -> bool:
    """Whether a signal waits for a stopped process to go on, or has made it go on and end."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    [pending] = [line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd")]
    return int(pending, 16) != 0


def trains(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Those that have recorded something and go on."""
    return [run for run in runs if run.status.state == "running" and run.last_checkpoint.exists()]
