"""Provenance of a run's results: code, packages, machine and command."""

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

COMMAND_VARIABLE = "MARLPIPE_COMMAND"  # the user's command, for processes that a launcher starts
SOURCE = Path(marlpipe.__file__).parent
LARGEST_DIFF = 5 * 2**20  # bytes
AS_A_PATCH = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--binary")


def provenance() -> dict[str, Any]:
    """Command, versions, code and machine in one dictionary, with the keys of `run.json`."""
    return {"command": command_line(), **software_and_machine()}


@functools.cache
def software_and_machine() -> dict[str, Any]:
    """The part that is constant in this process: packages and code as they were loaded, and the machine."""
    return {
        "versions": versions(),
        "python": platform.python_version(),
        "git": git(),
        "hardware": hardware(),
    }


def command_line() -> str:
    """The user's command, quoted for a shell."""
    return os.environ.get(COMMAND_VARIABLE) or shlex.join(sys.orig_argv)


def versions() -> dict[str, str]:
    """The version of every installed package, and of marlpipe itself, in alphabetical order."""
    all_metadata = [distribution.metadata for distribution in distributions()]  # each access parses the file again
    installed = {metadata["Name"]: metadata["Version"] for metadata in all_metadata}
    return dict(sorted({**installed, "marlpipe": marlpipe.__version__}.items(), key=lambda item: item[0].lower()))


def packaged(packages: Iterable[str]) -> dict[str, str | None]:
    """The versions of the distributions that provide some import packages.

    A package without a distribution is listed under its own name, with None.
    """
    found: dict[str, str | None] = {}
    for package in packages:
        if package == "marlpipe":  # the metadata of an editable installation may be out of date
            found[package] = marlpipe.__version__
            continue
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # its distribution has another name; that search takes a second
            names = packages_distributions().get(package, [])
            found |= {name: version(name) for name in names} if names else {package: None}
    return found


def git(source: Path = SOURCE) -> dict[str, str | bool | None] | None:
    """The commit of the running code, whether the work tree is dirty, and a hash of the uncommitted changes.

    Args:
        source: a folder of the code, by default marlpipe's own.

    Returns:
        None for code that git does not track. `diff`, the hash of `code_diff`, is None without changes.
    """
    # a virtual environment within another repository has a commit, too, but not this code's: so ask for a tracked file
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
    """Uncommitted changes of the code as a patch, which `git apply` at the top of the repository restores.

    Includes untracked Python and YAML files, except for ignored ones and those in run folders. Past `LARGEST_DIFF` the
    patch ends between two files, with a comment. Cached: it describes the code that was loaded.
    """
    top = Path(_ask(["git", "rev-parse", "--show-toplevel"], source) or source)
    diff = b""
    for part in _patches(top):
        if len(diff) + len(part) > LARGEST_DIFF:
            return diff + b"# More differs than fits here: from this place on it is left out.\n"
        diff += part
    return diff


def write_code_diff(path: Path) -> None:
    """Writes marlpipe's uncommitted changes, or removes the file where there are none.

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
    """One patch per file."""
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
    """The number of cores that this process may use; a scheduler may grant fewer than the machine has."""
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
    except (AttributeError, ValueError, OSError):  # not available on every system
        return None


def _ask(command: list[str], folder: Path | None = None) -> str | None:
    """The output of a program as text, as `_output`, stripped."""
    said = _output(command, folder)
    return None if said is None else said.decode(errors="replace").strip()


def _output(command: list[str], folder: Path | None = None, accepted: Collection[int] = (0,)) -> bytes | None:
    """The output of a program; None where it is missing, fails, or takes longer than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        asked = subprocess.run(command, cwd=folder, capture_output=True, timeout=10, check=False)
    except (subprocess.SubprocessError, OSError):
        return None
    return asked.stdout if asked.returncode in accepted else None
