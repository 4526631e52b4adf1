"""The random generators that all of a process shares, which are nobody's to use."""

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch


@contextmanager
def global_seeds(seed: int, device: torch.device) -> Iterator[None]:
    """The global generators of torch, numpy and Python start from a seed, and are afterwards as they were before."""
    kept = numpy.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        numpy.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            numpy.random.set_state(kept[0])
            random.setstate(kept[1])


def global_states() -> dict[str, int]:
    """A number for the state of each global generator."""
    twister = numpy.random.get_state(legacy=False)
    return {
        "torch's global generator": hash(torch.get_rng_state().numpy().tobytes()),
        "numpy's global generator": hash(pickle.dumps(twister)),
        "Python's global generator": hash(random.getstate()),
    }
