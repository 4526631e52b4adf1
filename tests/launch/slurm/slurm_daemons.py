"""The processes of a Slurm on one host: its daemons, each with a log, and what runs on one of its nodes."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

TAIL_LINES = 15
ENDING_S = 5.0


class Daemons:
    """What was launched and not ended, by name.

    folder: where the logs go. environment: what each daemon gets.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._processes

    def launch(self, name: str, *command: str) -> None:
        """In a session of its own: Ctrl-C in a terminal does not reach it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> list[str]:
        """Those that ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def logs(self, *names: str) -> str:
        """The end of some logs, or of all."""
        tails = []
        for name in names or self._processes:
            path = self.folder / f"{name}.log"
            tails += [f"The end of {path}:", *path.read_text(errors="replace").splitlines()[-TAIL_LINES:]]
        return "\n".join(tails)

    def kill(self, name: str) -> None:
        """By SIGKILL, if it was launched."""
        if process := self._processes.pop(name, None):
            process.kill()
            process.wait()

    def end(self) -> None:
        """All: by SIGTERM, then those that do not listen by SIGKILL."""
        for process in self._processes.values():
            process.terminate()
        for name, process in list(self._processes.items()):
            try:
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                pass
            finally:
                self.kill(name)


def of_node(name: str, slurm_conf: Path, log: Path) -> list[int]:
    """The ids of a node's slurmd and slurmstepds, then of what its jobs run.

    The former are known by the log that they hold open, the latter by what Slurm puts into their environment. Both hold
    for processes that have left their parents, and for no other cluster on this host.
    """
    marks = {f"SLURM_CONF={slurm_conf}".encode(), f"SLURMD_NODENAME={name}".encode()}
    daemons, jobs = [], []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "exe").readlink().name.startswith("slurm"):
                if any(os.path.realpath(file) == str(log) for file in (process / "fd").iterdir()):
                    daemons.append(int(process.name))
            elif marks <= set((process / "environ").read_bytes().split(b"\0")):
                jobs.append(int(process.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return daemons + jobs
