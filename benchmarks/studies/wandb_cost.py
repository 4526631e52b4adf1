"""`python -m benchmarks.studies.wandb_cost`: seconds that W&B costs a run, for docs/wandb.md.

Its server works, is slow, fails, hangs or is absent. Each run is a process of its own; within a repetition, the cases
take turns. Prints the median seconds of training (the run's `wall_s`), and of the whole command.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.options import positive
from marlpipe.commands.command_line.ending import exit_with
from marlpipe.runs.files import read_json
from tests.wandb.wandb_server import KEY, WandbServer

RUN = ("algo=qmix", "env=cartpole", "env_steps=8000", "evaluation.every_env_steps=500", "record_every_env_steps=100")
NO_SERVER = "http://127.0.0.1:9"  # the port of "discard", on which nothing listens
CASES = ("none", "offline", "online", "slow", "failing", "hanging", "absent")


def timed(case: str, server: WandbServer) -> tuple[float, float]:
    """Seconds of training, and of the whole command."""
    server.delay_s = 2.0 if case == "slow" else 0.0
    server.failing, server.hanging = case == "failing", case == "hanging"
    logger = {"none": "logger=none", "offline": "logger.mode=offline"}.get(case, "logger=wandb")
    with tempfile.TemporaryDirectory() as folder:
        own = {"HOME": folder, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": NO_SERVER if case == "absent" else server.url}
        command = [sys.executable, "-m", "marlpipe", *RUN, logger, "threads=1", f"paths.runs={folder}/runs"]
        started = time.monotonic()
        subprocess.run(command, env={**os.environ, **own}, check=True, capture_output=True)
        whole = time.monotonic() - started
        [file] = Path(folder).glob("runs/*/*/*/status.json")
        status = read_json(file)
        assert status["state"] == "finished"
        return status["wall_s"], whole


def run(arguments: Sequence[str]) -> int:
    """Prints the rows of the table."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.studies.wandb_cost", description=__doc__)
    asked.add_argument("--repetitions", type=positive, default=3)
    given = asked.parse_args(arguments)
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    for _ in range(given.repetitions):
        for case in CASES:
            with WandbServer() as server:
                found[case].append(timed(case, server))
            training, whole = found[case][-1]
            print(f"{case}: {training:.2f} s of {whole:.2f} s", file=sys.stderr, flush=True)
    print("| W&B | training, s | whole command, s |\n|---|---|---|")
    for case, times in found.items():
        training, whole = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {case} | {training:.2f} | {whole:.2f} |")
    return 0


if __name__ == "__main__":
    exit_with(run)
