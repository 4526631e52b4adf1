"""What a world's spec says of its answers: dtype, shape and device of each tensor."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from marlpipe.types import EnvSpec

SIZES = {  # what the sizes of each field are
    "obs": "copies, spec.n_agents, spec.obs_dim",
    "state": "copies, spec.state_dim",
    "avail_actions": "copies, spec.n_agents, spec.n_actions",
    "rewards": "copies, spec.n_agents",
    "terminated": "copies",
    "truncated": "copies",
}


class Layout(NamedTuple):
    """What a tensor has to be."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    device: torch.device

    def fits(self, given: Any) -> bool:
        """Whether something is such a tensor."""
        return (
            isinstance(given, Tensor)
            and given.shape == self.shape
            and given.dtype == self.dtype
            and given.device == self.device
        )

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {self.shape} on {self.device}"


def described(given: Any) -> str:
    """A tensor's dtype, shape and device, as in `float32 (8, 3, 4) on cpu`; the type of anything else."""
    if not isinstance(given, Tensor):
        return f"no tensor but {type(given).__name__}"
    return str(Layout(given.dtype, tuple(given.shape), given.device))


def of_observation(spec: EnvSpec, n: int, device: torch.device) -> dict[str, Layout]:
    """The layouts of an `Observation` of n copies."""
    number = torch.get_default_dtype()
    return {
        "obs": Layout(number, (n, spec.n_agents, spec.obs_dim), device),
        "state": Layout(number, (n, spec.state_dim), device),
        "avail_actions": Layout(torch.bool, (n, spec.n_agents, spec.n_actions), device),
    }


def of_timestep(spec: EnvSpec, n: int, device: torch.device) -> dict[str, Layout]:
    """The layouts of a `Timestep` of n copies."""
    return {
        "rewards": Layout(torch.get_default_dtype(), (n, spec.n_agents), device),
        "terminated": Layout(torch.bool, (n,), device),
        "truncated": Layout(torch.bool, (n,), device),
    }


def misfit(answer: tuple[Any, ...], layouts: Mapping[str, Layout]) -> str | None:
    """The name of the first field that does not fit; None where all do."""
    for (name, layout), field in zip(layouts.items(), answer, strict=True):
        if not layout.fits(field):
            return name
    return None
