"""Where a run's numbers come from: code, packages, machine and command."""

import functools
import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import marlpipe

COMMAND_VARIABLE = "MARLPIPE_COMMAND"  # set for processes that a launcher starts: their own command line says nothing


def provenance() -> dict[str, Any]:
    """All of this module in one plain dictionary, with the keys a run's `run.json` has."""
    return {"command": command_line(), **origin()}


@functools.cache
def origin() -> dict[str, Any]:
    """What does not change as long as this process lives: packages and code as they were loaded, and the machine."""
    return {
        "versions": versions(),
        "python": platform.python_version(),
        "git": git(),
        "hardware": hardware(),
    }


def command_line() -> str:
    """What the user typed, in a form that can be pasted into a shell."""
    return os.environ.get(COMMAND_VARIABLE) or shlex.join(sys.orig_argv)


def versions() -> dict[str, str]:
    """The version of every installed package, and of marlpipe itself, in alphabetical order."""
    told = [distribution.metadata for distribution in distributions()]  # parsed anew each time it is asked for
    installed = {metadata["Name"]: metadata["Version"] for metadata in told}
    return dict(sorted({**installed, "marlpipe": marlpipe.__version__}.items(), key=lambda item: item[0].lower()))


def git(source: Path = Path(marlpipe.__file__).parent) -> dict[str, str | bool] | None:
    """The commit of the code that runs and whether it differs from it; None for code that git does not know.

    Args:
        source: a folder of the code, by default marlpipe's own.
    """
    # an environment inside someone's repository has a commit too, but not this code's: so ask for a tracked file
    if not _ask(["git", "ls-files", "*.py"], source):
        return None
    commit = _ask(["git", "rev-parse", "--verify", "HEAD"], source)
    changes = _ask(["git", "status", "--porcelain"], source)
    return None if commit is None else {"commit": commit, "dirty": changes != ""}


def hardware() -> dict[str, Any]:
    """The machine: host, system, processor, cores this process may use, memory in GiB, names of NVIDIA GPUs."""
    gpus = _ask(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or ""
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "gpus": gpus.splitlines(),
    }


def cores() -> int:
    """How many cores this process may use: fewer than the machine has, where a scheduler hands out some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not every system counts its pages
        return None


def _ask(command: list[str], folder: Path | None = None) -> str | None:
    """What a program prints, or None where it is missing, fails or takes longer than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        asked = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return asked.stdout.strip()
