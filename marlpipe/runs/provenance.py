"""Provenance of a run's results: code, packages, machine and command."""

import functools
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, version
from pathlib import Path
from typing import Any

import marlpipe
from marlpipe.runs.code_state import CodeState, code_state, repository
from marlpipe.runs.files import write_bytes

COMMAND_VARIABLE = "MARLPIPE_COMMAND"  # the user's command, for processes that a launcher starts
SOURCE = Path(marlpipe.__file__).parent


def provenance() -> dict[str, Any]:
    """Command, versions, code and machine in one dictionary, with the keys of `run.json`."""
    return {"command": command_line(), **software_and_machine()}


@functools.cache
def software_and_machine() -> dict[str, Any]:
    """The part that is constant in this process: packages and code as they were loaded, and the machine.

    Says once on stderr if git gives no answer about the code; `git_error` is why the commit or the changes are unknown.
    """
    _warn_of(own_state())
    return {
        "versions": versions(),
        "python": platform.python_version(),
        "git": git(),
        "git_error": own_state().error,
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


def git(state: CodeState | None = None) -> dict[str, str | bool | None] | None:
    """The commit of some code, whether it has uncommitted changes, and a hash of these.

    Args:
        state: by default marlpipe's own.

    Returns:
        None for code that git does not track, or gives no answer about. `diff` is None without changes; `dirty` is None
        where git gave only half an answer.
    """
    state = state or own_state()
    return None if state.commit is None else {"commit": state.commit, "dirty": state.dirty, "diff": state.diff}


@functools.cache
def own_state() -> CodeState:
    """The state of marlpipe's own folders. Cached: it describes the code that was loaded."""
    return code_state(own_folders(SOURCE))


def own_folders(source: Path) -> list[Path]:
    """What marlpipe's code is made of: its package, and in a checkout the folders next to that."""
    beside = () if (source / "conf").is_dir() else ("conf", "hydra_plugins")
    return [source, *(source.parent / name for name in beside if (source.parent / name).is_dir())]


@functools.cache
def users_states(files: tuple[Path, ...]) -> dict[Path, CodeState]:
    """The state of the user's own files in each of their repositories, by its top; the others are left out.

    Cached: it describes the code that was loaded.
    """
    groups: dict[Path, list[Path]] = {}
    for file in files:
        if (top := repository(file)) is not None:
            groups.setdefault(top, []).append(file)
    states = {top: code_state(group, tracked=False) for top, group in groups.items()}
    for state in states.values():
        _warn_of(state)
    return states


def users_code(files: tuple[Path, ...]) -> dict[str, Any]:
    """For each repository with the user's own files, by its name: as `git`, and `error`, why something is unknown."""
    return {top.name: {**(git(state) or {}), "error": state.error} for top, state in users_states(files).items()}


def write_code_diff(path: Path, files: tuple[Path, ...] = ()) -> None:
    """Writes the uncommitted changes of marlpipe and of the user's own files, or removes the file where there are none.

    Changes in another repository than marlpipe's follow a comment that names it.

    Raises:
        UserError: the disk refuses.
    """
    diff = own_state().patch
    for top, state in users_states(files).items():
        if state.patch and state.top != own_state().top:
            diff += f"# in the repository {top.name}, at its commit {state.commit}:\n".encode()
        diff += state.patch
    if diff:
        write_bytes(path, diff)
    else:
        path.unlink(missing_ok=True)


def _warn_of(state: CodeState) -> None:
    if state.failed:
        print(f"warning: the commit or the changes of the code are not recorded: {state.error}", file=sys.stderr)


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


def _ask(command: list[str]) -> str | None:
    """What a program prints, stripped; None where it is missing, fails, or takes longer than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        asked = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except (subprocess.SubprocessError, OSError):
        return None
    return asked.stdout.decode(errors="replace").strip() if asked.returncode == 0 else None
