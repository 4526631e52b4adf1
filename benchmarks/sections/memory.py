"""Memory of a full replay, and of a run's process."""

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from benchmarks.measurement import Measurement, Section
from benchmarks.sections.processes import peak_memory, python, threads, training
from benchmarks.tasks import AGENTS, EPISODES, REPLAY, STEPS, carts, full_replay
from marlpipe.types import StateDict

UPDATES = 5  # after the first batch's episodes
FLOOR, IMPORTS = "observations alone", "import marlpipe.training.session"
OBS_DIM = 4  # of a cart, in 32-bit floats


def section() -> Section:
    """Bytes. A run's peak is that of its first updates: a full replay comes on top of it."""
    of_obs = float(REPLAY * (STEPS + 1) * AGENTS * OBS_DIM * 4)
    measurements = {
        f"replay of {REPLAY} episodes": Measurement(cache(replay_bytes), {FLOOR: FLOOR}, unit="B"),
        FLOOR: Measurement(lambda: of_obs, unit="B"),
        "peak of a run": Measurement(peak_of_run, {IMPORTS: IMPORTS}, unit="B"),
        IMPORTS: Measurement(partial(peak_memory, python("-c", IMPORTS)), unit="B"),
    }
    title = f"memory: lomaq, {AGENTS} carts, full episodes of {STEPS} env steps, batches of {EPISODES}"
    return Section(title, measurements, rounds=3, warm_up=False)


def replay_bytes() -> float:
    """All tensors of a full replay."""
    return float(tensor_bytes(full_replay().state_dict()))


def tensor_bytes(state: StateDict) -> int:
    """Of nested dictionaries."""
    return sum(
        tensor_bytes(value) if isinstance(value, dict) else value.nbytes if isinstance(value, Tensor) else 0
        for value in state.values()
    )


def peak_of_run() -> float:
    """Of the process of a short run."""
    with TemporaryDirectory() as folder:
        length = f"env_steps={(EPISODES + UPDATES) * STEPS}"
        return peak_memory(training(Path(folder), "algo=lomaq", "profile=lomaq", *carts(), threads(), length))
