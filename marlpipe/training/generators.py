"""States of the global random generators as plain values: an algorithm or a world may draw from them."""

import random

import numpy
import torch

from marlpipe.types import StateDict


def generator_states() -> StateDict:
    """The states of the generators of Python, NumPy, torch, and torch on each GPU."""
    kind, keys, *rest = numpy.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(numpy.asarray(keys).astype(numpy.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: StateDict) -> None:
    """Restores `generator_states`; states of GPUs that are missing now are ignored."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    numpy.random.set_state((kind, keys.numpy().astype(numpy.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]][: torch.cuda.device_count()])
