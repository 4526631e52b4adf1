"""Where a run's numbers come from: code, packages, machine and command."""

import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, version
from pathlib import Path
from typing import Any

import marlpipe
from marlpipe.runs.files import replacing

COMMAND_VARIABLE = "MARLPIPE_COMMAND"  # set for processes that a launcher starts: their own command line says nothing
SOURCE = Path(marlpipe.__file__).parent
LARGEST_DIFF = 5 * 2**20  # bytes
AS_A_PATCH = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--binary")


def provenance() -> dict[str, Any]:
    """All of this module in one plain dictionary, with the keys a run's `run.json` has."""
    return {"command": command_line(), **software_and_machine()}


@functools.cache
def software_and_machine() -> dict[str, Any]:
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


def packaged(packages: Iterable[str]) -> dict[str, str | None]:
    """The versions of the distributions that packages, as they are imported, come from.

    A package that was never installed has its own name, and None.
    """
    found: dict[str, str | None] = {}
    for package in packages:
        if package == "marlpipe":  # its own is current, that of an editable installation is as old as that
            found[package] = marlpipe.__version__
            continue
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # its distribution has another name, which takes a second to find
            names = packages_distributions().get(package, [])
            found |= {name: version(name) for name in names} if names else {package: None}
    return found


def git(source: Path = SOURCE) -> dict[str, str | bool | None] | None:
    """The commit of the code that runs, whether the folder differs from it, and a hash of what differs in the code.

    Args:
        source: a folder of the code, by default marlpipe's own.

    Returns:
        None for code that git does not know. The hash, of `code_diff`, is None where that is empty.
    """
    # an environment inside someone's repository has a commit too, but not this code's: so ask for a tracked file
    if not _ask(["git", "ls-files", "*.py"], source):
        return None
    commit = _ask(["git", "rev-parse", "--verify", "HEAD"], source)
    changes = _ask(["git", "status", "--porcelain"], source)
    if commit is None:
        return None
    diff = code_diff(source)
    return {
        "commit": commit,
        "dirty": changes != "",
        "diff": hashlib.sha256(diff).hexdigest()[:16] if diff else None,
    }


@functools.cache
def code_diff(source: Path) -> bytes:
    """What the code has beyond its commit, as a patch: `git apply` at the top of the repository restores it.

    Python and YAML files that git was not told of are in it, but for those of run folders and those it ignores. From
    `LARGEST_DIFF` on it is cut between two files, and says so. Found out once: that is the code that was loaded.
    """
    top = Path(_ask(["git", "rev-parse", "--show-toplevel"], source) or source)
    diff = b""
    for part in _patches(top):
        if len(diff) + len(part) > LARGEST_DIFF:
            return diff + b"# More differs than fits here: from this place on it is left out.\n"
        diff += part
    return diff


def write_code_diff(path: Path) -> None:
    """Writes what marlpipe's code has beyond its commit, or removes the file where that is nothing.

    Raises:
        UserError: the disk refuses.
    """
    diff = code_diff(SOURCE)
    if not diff:
        path.unlink(missing_ok=True)
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with replacing(path, unfinished):
        unfinished.write_bytes(diff)


def _patches(top: Path) -> Iterator[bytes]:
    """File by file, where git finds any."""
    tracked = _output(["git", "diff", *AS_A_PATCH, "HEAD"], top) or b""
    yield from re.split(rb"^(?=diff --git )", tracked, flags=re.MULTILINE)
    others = _output(["git", "ls-files", "-z", "--others", "--exclude-standard", "*.py", "*.yaml"], top) or b""
    for name in filter(None, others.split(b"\0")):
        file = Path(os.fsdecode(name))
        if not any((top / folder / "status.json").exists() for folder in file.parents):
            compared = ["git", "diff", "--no-index", *AS_A_PATCH, "--", os.devnull, str(file)]
            yield _output(compared, top, accepted=(0, 1)) or b""  # 1: they differ


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
    """What a program says, as `_output`, without the ends of its lines."""
    said = _output(command, folder)
    return None if said is None else said.decode(errors="replace").strip()


def _output(command: list[str], folder: Path | None = None, accepted: Collection[int] = (0,)) -> bytes | None:
    """What a program prints, or None where it is missing, fails or takes longer than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        asked = subprocess.run(command, cwd=folder, capture_output=True, timeout=10, check=False)
    except (subprocess.SubprocessError, OSError):
        return None
    return asked.stdout if asked.returncode in accepted else None
