"""A real Slurm of its own on this host, of two nodes, on loopback and in one folder of the caller.

`python -m tests.launch.slurm.cluster FOLDER` starts one for a person, up to Ctrl-C. Needs Linux and what `make
test-slurm` installs.
"""

import argparse
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.launch.slurm.slurm_conf import NODES, write_configuration
from tests.launch.slurm.slurm_daemons import Daemons, of_node

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
INSTALL = "make test-slurm"
CLIENTS_READ = ("SLURM", "SBATCH_", "SALLOC_", "SCANCEL_", "SQUEUE_", "SINFO_", "SCONTROL_")
PATIENCE_S = 60.0
CANCEL_S = 6.0
KILL_S = 5.0
POLL_S = 0.05


class ClusterError(RuntimeError):
    """Slurm is not installed, did not come up, refused a command, or took too long."""


class Job(NamedTuple):
    """A line of squeue. id: "7", or "7_0" for a task of an array; node: "" until it has one."""

    id: str
    state: str
    node: str


class Cluster:
    """Starts on entry, ends on exit with all its jobs; the folder stays, with the daemons' logs in `log`.

    folder: new or empty. Its path is short, since the paths of unix sockets are limited.
    max_array_size: one more than the largest index of a job array.
    cred_expire_s: what a requeued job waits before it starts again. Above the 2 s that a job has to end after SIGTERM.
    grace_s: how long a job of partition `main` has to end when one of partition `high` preempts it.
    slurmd_timeout_s: how long a silent node is taken to be alive. It is asked every third of that.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_array_size: int = 1001,
        cred_expire_s: int = 10,
        grace_s: int = 10,
        slurmd_timeout_s: int = 30,
    ) -> None:
        self.folder = folder.resolve()
        self.slurm_conf = self.folder / "etc" / "slurm.conf"
        self._settings = {
            "max_array_size": max_array_size,
            "cred_expire_s": cred_expire_s,
            "grace_s": grace_s,
            "slurmd_timeout_s": slurmd_timeout_s,
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith(CLIENTS_READ)}
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {**others, "SLURM_CONF": str(self.slurm_conf), "PATH": path}
        self._daemons = Daemons(self.folder / "log", self.environment)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once both nodes are idle."""
        missing = [program for program in PROGRAMS if not shutil.which(program, path=self.environment["PATH"])]
        if missing:
            raise ClusterError(f"Slurm is not installed here: no {', '.join(missing)}. Install it with: {INSTALL}")
        if not re.fullmatch(r"[\w./-]{1,60}", str(self.folder), re.ASCII):
            raise ClusterError(f"{self.folder}: give a folder whose path is up to 60 letters, digits and ./-_")
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ClusterError(f"{self.folder} is not empty: give a new folder")
        for name in ("etc", "state", "log", "run", "munge", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        write_configuration(self.folder, **self._settings)
        munge, run = self.folder / "munge", self.folder / "run"
        (munge / "key").write_bytes(secrets.token_bytes(128))
        munge.chmod(0o700)
        (munge / "key").chmod(0o400)
        self._daemons.launch(
            *("munged", "munged", "--foreground", "--force", f"--key-file={munge / 'key'}"),
            *(f"--seed-file={munge / 'seed'}", f"--log-file={munge / 'log'}"),
            *(f"--socket={run / 'munge.socket'}", f"--pid-file={run / 'munged.pid'}"),
        )
        self.wait_until((run / "munge.socket").is_socket)
        self._daemons.launch("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self._launch_node(node)
        self.wait_idle()

    def stop(self) -> None:
        """Cancels all jobs, then ends the daemons, by force where they do not listen."""
        try:
            if "slurmctld" in self._daemons and "slurmctld" not in self._daemons.ended():
                self._cancel_all()
        finally:
            self._daemons.end()
            for node in NODES:
                self.kill_node(node)

    def reset(self) -> None:
        """As after the start: no jobs, and both nodes idle."""
        self._cancel_all()
        for node in NODES:
            if node not in self._daemons:
                self.start_node(node)
        self.wait_idle()

    def start_node(self, name: str) -> None:
        """Boots a node that was killed, and does not wait for it: see `wait_idle`.

        The controller hears first that the node was down. When a node is back before the timeout, the controller would
        overlook that for minutes, and call a job that had only just started there running.
        """
        if name in self._daemons:
            raise ClusterError(f"Node {name} runs already")
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=power loss")
        self._launch_node(name)

    def kill_node(self, name: str) -> None:
        """As a power loss: SIGKILL to the node's slurmd, its slurmstepds, and then all processes of its jobs."""
        deadline = time.monotonic() + KILL_S
        self._daemons.kill(name)
        while processes := of_node(name, self.slurm_conf, self.folder / "log" / f"{name}.steps.log"):
            if time.monotonic() > deadline:
                raise ClusterError(f"Processes {processes} of node {name} cannot be killed")
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def run(self, *command: str) -> str:
        """What a client of Slurm prints. It runs in `folder`, where jobs also leave their output by default."""
        done = self._client(*command)
        if done.returncode:
            raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def queue(self) -> list[Job]:
        """The jobs that have not ended, each task of an array by itself."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i|%T|%N").splitlines()
        return [Job(*line.split("|")) for line in lines]

    def state(self, job: str) -> str:
        """Of a job or of one task of an array, also after its end: "PENDING", "RUNNING", "COMPLETED", "FAILED", ..."""
        return self.run("squeue", "--noheader", "--array", "--states=all", "--format=%T", f"--jobs={job}").strip()

    def config(self, key: str) -> str:
        """A setting, as the controller has it."""
        found = re.search(rf"^{re.escape(key)}\s*= (.*)$", self.run("scontrol", "show", "config"), re.MULTILINE)
        if not found:
            raise ClusterError(f"Slurm has no setting {key}")
        return found[1].strip()

    def wait_idle(self, patience_s: float = PATIENCE_S) -> None:
        """Until every node could start a job."""
        sinfo = ("sinfo", "--noheader", "--Node", "--format=%T")
        self.wait_until(lambda: set(self._client(*sinfo).stdout.split()) == {"idle"}, patience_s)

    def wait_until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Looks often. The error tells what the jobs and the daemons did meanwhile."""
        deadline = time.monotonic() + patience_s
        while not true():
            if ended := self._daemons.ended():
                raise ClusterError(f"{', '.join(ended)} ended by itself\n{self._daemons.logs(*ended)}")
            if time.monotonic() > deadline:
                jobs = self._client("squeue", "--array", "--states=all").stdout
                raise ClusterError(f"Not so within {patience_s:g} s\n{jobs}{self._daemons.logs()}")
            time.sleep(POLL_S)

    def _launch_node(self, name: str) -> None:
        self._daemons.launch(name, "slurmd", "-D", "-N", name)

    def _cancel_all(self) -> None:
        """Waits a little for the jobs on living nodes to end."""
        self.run("scancel", "--user", str(os.getuid()))
        deadline = time.monotonic() + CANCEL_S
        while time.monotonic() < deadline and any(job.node in self._daemons for job in self.queue()):
            time.sleep(POLL_S)

    def _client(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="A Slurm of two nodes on this host, up to Ctrl-C.")
    parser.add_argument("folder", type=Path, help="a new folder")
    folder = parser.parse_args().folder
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Cluster(folder) as cluster:
            print(f"export SLURM_CONF={cluster.slurm_conf}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print(f"Stopped. The logs are in {folder / 'log'}")
    except ClusterError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
