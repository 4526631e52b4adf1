"""From the command to the first gradient step."""

import subprocess
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measurement import Measurement, Section, seconds
from benchmarks.sections.processes import finished, python, threads, training

TORCH, PIPELINE = "import torch", "import marlpipe.training.session"
POLL_S = 0.01
TINY = ["profile.batch_episodes=1", "profile.parallel_episodes=1", "profile.replay_episodes=10", "env_steps=1"]


def section() -> Section:
    """Seconds of everything: interpreter, imports, configs, checks, building, one episode, one update."""
    imports = {code: partial(seconds, partial(finished, python("-c", code))) for code in (PIPELINE, TORCH)}
    return Section(
        "start-up",
        {
            "to the first gradient step": Measurement(first_gradient_step, {TORCH: TORCH, PIPELINE: PIPELINE}),
            PIPELINE: Measurement(imports[PIPELINE], {TORCH: TORCH}),
            TORCH: Measurement(imports[TORCH]),
        },
        rounds=3,
    )


def first_gradient_step() -> float:
    """Seconds until a run has recorded one; then it is killed. UserError if it ends before."""
    with TemporaryDirectory() as folder:
        command = training(Path(folder), "algo=qmix", "env=cartpole", threads(), *TINY)
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while not has_recorded(Path(folder)):
                if run.poll():
                    finished(command)
                time.sleep(POLL_S)
            taken = time.perf_counter() - started
            run.kill()
        return taken


def has_recorded(runs: Path) -> bool:
    """Whether a run has written a row of metrics."""
    return any(file.stat().st_size for file in runs.rglob("metrics.jsonl"))
