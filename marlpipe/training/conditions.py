"""Factors beyond config and seed that affect bitwise reproducibility, and a check that a resume has the same ones."""

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from hydra.utils import get_object
from omegaconf import DictConfig

from marlpipe.config.differences import differences, format_value
from marlpipe.errors import Bound, UserError
from marlpipe.runs.provenance import cores, packaged
from marlpipe.runs.slurm import current_job

CODE = ("commit", "diff")
# and all `numerics`, and `CODE` of each repository in `users_code`
BIT_RELEVANT = {"git": CODE, "versions": ("torch", "numpy"), "hardware": ("cpu",)}


@runtime_checkable
class Imported(Protocol):
    """An environment class that imports packages which only its config names."""

    @staticmethod
    def packages(config: Mapping[str, Any]) -> list[str]: ...


def environment(config: DictConfig) -> dict[str, Any]:
    """The environment's class, and the versions of the distributions that it comes from."""
    world: Any = get_object(config.env._target_)
    named = world.packages(config.env) if isinstance(world, Imported) else []
    packages = dict.fromkeys(["marlpipe", world.__module__.partition(".")[0], *named])
    return {"class": config.env._target_, "packages": packaged(packages)}


def threads(config: DictConfig) -> int:
    """The number of CPU threads of the run: of the config, the launcher, OMP_NUM_THREADS, or all cores.

    Raises:
        UserError: a variable is no whole number of at least 1.
    """
    if config.threads is not None:
        return int(config.threads)
    for variable in ("MARLPIPE_THREADS", "OMP_NUM_THREADS"):
        if given := os.environ.get(variable):
            number = int(given) if given.isdecimal() and given.isascii() else None
            if not Bound(1).holds(number):
                raise UserError(
                    f"{variable}={given} is not possible.\n  valid: {Bound(1)}\n"
                    f"  next: export {variable}=1, or unset {variable}, or threads=1 on the command line"
                )
            return int(given)
    return cores()


def numerics(config: DictConfig) -> dict[str, Any]:
    """What decides how sums are rounded: threads, device, CPU instructions, versions of numerical libraries."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    device = "cpu" if accelerator is None or config.trainer.get("accelerator") == "cpu" else accelerator.type
    built_with = torch.__config__.show()
    return {
        "threads": threads(config),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkl": version_in(built_with, "Math Kernel Library Version"),
        "mkldnn": version_in(built_with, "MKL-DNN"),
        "cuda": torch.version.cuda,
        "cudnn": version_in(built_with, "CuDNN"),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": bool(config.deterministic),
    }


def version_in(text: str, library: str) -> str | None:
    """The version number that follows a library's name."""
    found = re.search(rf"{library} v?([\d.]+)", text)
    return found[1] if found else None


def bit_relevant(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `run.json` that decides the bits of a run's results."""
    parts = {key: record.get(key) or {} for key in BIT_RELEVANT}
    return {
        **{key: {name: parts[key].get(name) for name in names} for key, names in BIT_RELEVANT.items()},
        "users_code": {
            repository: {name: state.get(name) for name in CODE}
            for repository, state in (record.get("users_code") or {}).items()
        },
        "numerics": record.get("numerics") or {},
    }


def session_entry(own: Mapping[str, Any], now: Mapping[str, Any], from_env_steps: int) -> dict[str, Any]:
    """An entry for `sessions` of `run.json`: time, process, machine, code, and versions that differ from the run's.

    Args:
        own: the record of the run's first session.
        now: the same record of this session.
        from_env_steps: where this session begins.
    """
    git = now["git"] or {}
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": now["hardware"]["host"],
        "pid": os.getpid(),
        "job": current_job(),
        "from_env_steps": from_env_steps,
        "commit": git.get("commit"),
        "diff": git.get("diff"),
        "changed_versions": {
            name: version
            for name, version in now["versions"].items()
            if (own.get("versions") or {}).get(name) != version
        },
    }


def warn_if_changed(own: Mapping[str, Any], now: Mapping[str, Any], label: str) -> None:
    """Prints a warning, with the conditions that changed, if a resumed run may get other bits."""
    changed = [
        f"{'.'.join(path)} {format_value(path[-1], then)} then, {format_value(path[-1], today)} now"
        for path, then, today in differences(bit_relevant(own), bit_relevant(now))
    ]
    if changed:
        print(
            f"warning: {label} resumes under other conditions than it began, and its results may differ in their bits "
            f"from those of an uninterrupted run: {'; '.join(changed)}",
            file=sys.stderr,
        )


def warn_of_newer_code(submission: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Prints a warning if the code has changed since the run was submitted to a cluster."""
    code = submission.get("code")
    if submission.get("job") == current_job() and isinstance(code, dict) and code != now["git"]:
        commit = str(code.get("commit"))[:8]
        print(f"warning: {folder} was submitted with other code, commit {commit}, and runs today's", file=sys.stderr)
