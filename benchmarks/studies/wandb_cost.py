"""What a W&B server that works, is slow, fails, hangs or is away costs a run.

    python benchmarks/studies/wandb_cost.py [REPETITIONS]

Each run is a process of its own; within a repetition, runs take turns. Prints the median seconds of training (the
run's `wall_s`), and of the whole command.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from marlpipe.runs.files import read_json
from tests.wandb.wandb_server import KEY, WandbServer

RUN = ("algo=qmix", "env=cartpole", "env_steps=8000", "evaluation.every_env_steps=500", "record_every_env_steps=100")
AWAY = "http://127.0.0.1:9"  # the port of "discard": nobody listens
CASES = ("logger=none", "offline", "works", "answers after 2 s", "fails", "hangs", "is away")


def timed(case: str, server: WandbServer) -> tuple[float, float]:
    """Seconds of training, and of the whole command."""
    server.delay_s = 2.0 if case == "answers after 2 s" else 0.0
    server.failing, server.hanging = case == "fails", case == "hangs"
    logger = (
        ["logger=none"] if case == "logger=none" else ["logger.mode=offline" if case == "offline" else "logger=wandb"]
    )
    with tempfile.TemporaryDirectory() as place:
        own = {"HOME": place, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": AWAY if case == "is away" else server.url}
        command = [sys.executable, "-m", "marlpipe", *RUN, *logger, "threads=1", f"paths.runs={place}/runs"]
        started = time.monotonic()
        subprocess.run(command, env={**os.environ, **own}, check=True, capture_output=True)
        whole = time.monotonic() - started
        (status,) = Path(place).glob("runs/*/*/*/status.json")
        told = read_json(status)
        assert told["state"] == "finished"
        return told["wall_s"], whole


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    for _ in range(repetitions):
        for case in CASES:
            with WandbServer() as server:
                found[case].append(timed(case, server))
            print(f"{case}: {found[case][-1][0]:.2f} s of {found[case][-1][1]:.2f} s", file=sys.stderr, flush=True)
    print("| W&B | training, s | whole command, s |\n|---|---|---|")
    for case, times in found.items():
        training, whole = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {case} | {training:.2f} | {whole:.2f} |")


if __name__ == "__main__":
    main()
