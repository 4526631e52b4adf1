"""Jobs of this machine that submitit runs as a cluster would: their controllers, each a process."""

import os
import subprocess

CONTROLLER = "submitit.local._local"  # the module that such a process runs


def this_host() -> str:
    """The name of this machine, as it is recorded."""
    return os.uname().nodename


def local_jobs() -> set[str] | None:
    """The controllers that live, by their process ids; None where the machine does not say."""
    try:
        processes = subprocess.run(
            ["ps", "-axwwo", "pid=,args="], capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return {line.split()[0] for line in processes.splitlines() if CONTROLLER in line}
