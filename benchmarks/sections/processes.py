"""Commands in processes of their own, as a user starts them."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from marlpipe.errors import UserError

# until exec, Linux counts the memory of the parent as the new process's own: so a small parent starts it
WAITING = """
import resource, subprocess, sys
if subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode:
    sys.exit(1)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
SHOWN = 2000  # characters of an error message


def python(*arguments: str) -> list[str]:
    """The command line of this interpreter."""
    return [sys.executable, *arguments]


def training(runs: Path, *overrides: str) -> list[str]:
    """The command of one run or a grid, with its folders below `runs`, on the CPU and without an account."""
    return python("-m", "marlpipe", *overrides, f"paths.runs={runs}", "trainer=cpu", "logger=none")


def threads() -> str:
    """The override for as many threads as this process has."""
    return f"threads={torch.get_num_threads()}"


def finished(command: Sequence[str]) -> str:
    """The output of a command. UserError with the end of its error output where it fails."""
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise UserError(f"{shlex.join(command)}\n  failed: {ended.stderr[-SHOWN:]}")
    return ended.stdout


def peak_memory(command: Sequence[str]) -> float:
    """The most memory that a command's process had at any time, in bytes."""
    return UNIT * int(finished(python("-c", WAITING, *command)))
