"""The command line as a person uses it: `python -m marlpipe` in a process of its own."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.repository import ROOT
from tests.support.waiting import PATIENCE_S

SHORT = (
    *("env.n_agents=2", "env.time_limit=10", "env_steps=300"),
    *("profile.batch_episodes=4", "profile.parallel_episodes=2", "profile.updates_per_rollout=2"),
    *("agent.hidden=8", "trainer=cpu", "threads=1", "logger=none", "evaluation.films=0"),
)


class Process(subprocess.Popen[str]):
    """In a process group of its own, as a shell starts it; `with` leaves nothing of it behind, whatever a test did."""

    def __exit__(self, *error: Any) -> None:
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*error)


def start(folder: Path, *arguments: str, grid: bool = False, inside: Sequence[str] = ()) -> Process:
    """A short run, or a grid of them, in a process group of its own, as a shell starts it.

    inside: what the command is put behind.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MARLPIPE"))}
    return Process(
        [*inside, sys.executable, "-m", "marlpipe", *(["-m"] if grid else []), *SHORT, *arguments],
        cwd=folder,
        env={**given, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: Process) -> tuple[int, str, str]:
    """Exit code, output and errors. No person ever sees a traceback."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in out + err, out + err
    return process.returncode, out, err


def run(folder: Path, *arguments: str, grid: bool = False, inside: Sequence[str] = ()) -> tuple[int, str, str]:
    """As `start`, up to its end."""
    return ended(start(folder, *arguments, grid=grid, inside=inside))


class SmallDisk:
    """A disk of a few KiB, mounted at `disk` in a folder, for its own processes only: it ends with them.

    `inside` brings a command there, `path` is how other processes see it. Skips the test where nothing can be mounted.
    """

    def __init__(self, folder: Path, kib: int) -> None:
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            pytest.skip("a small disk needs Linux with unshare and nsenter")
        disk = folder / "disk"
        disk.mkdir()
        user = [] if os.geteuid() == 0 else ["--user"]
        mount = f"mount -t tmpfs -o size={kib}k tmpfs {shlex.quote(str(disk))} && echo mounted && exec cat"
        self.holder = subprocess.Popen(
            ["unshare", "--mount", *(["--map-root-user"] if user else []), "sh", "-c", mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: IO[str] = self.holder.stdout  # type: ignore[assignment] # it is a pipe
        said = self.output.readline().strip()
        if said != "mounted":
            self.close()
            pytest.skip(f"no small disk can be mounted here: {said}")
        target = ["--target", str(self.holder.pid), "--mount"]
        enter = ["nsenter", *target, *user, *(["--preserve-credentials"] if user else [])]
        self.inside = [*enter, "env", f"--chdir={folder}"]
        self.path = Path(f"/proc/{self.holder.pid}/root{disk}")

    def fill(self, *, leaving_kib: int) -> None:
        """Somebody else's file, which takes all but a little."""
        self.clear()
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize
        (self.path / "other").write_bytes(b"0" * (free - leaving_kib * 1024))

    def clear(self) -> None:
        """Somebody else has tidied up."""
        (self.path / "other").unlink(missing_ok=True)

    def make_read_only(self) -> None:
        subprocess.run([*self.inside, "mount", "-o", "remount,bind,ro", "disk"], check=True)

    def close(self) -> None:
        self.holder.kill()
        self.holder.communicate()
