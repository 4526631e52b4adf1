"""Slurm's jobs, under the names that `squeue` shows: 34_0 for the first job of array 34."""

import os
import shutil
import subprocess

ASK_S = 30.0  # longest wait for squeue


def current_job() -> str | None:
    """The job that this process runs in; None outside of Slurm."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def known_jobs() -> dict[str, str] | None:
    """The state, such as PENDING or RUNNING, of each job that waits or runs; None where no cluster answers."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--array", "--format=%i %T"]
    try:
        asked = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=ASK_S, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if " " in line.strip())
