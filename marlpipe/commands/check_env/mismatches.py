"""Where two accounts of the same episodes differ."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from marlpipe.commands.check_env.promise import Failure
from marlpipe.envs.answers import described
from marlpipe.types import Observation, Timestep

RELATIVE, ABSOLUTE = 1e-5, 1e-5  # how far rounding may take what is computed in batches of another size


def label(given: Any, field: str) -> str:
    """What a field is called: `rewards`, or `CartPoleState.angle` for those of a world's state."""
    return field if isinstance(given, Observation | Timestep) else f"{type(given).__name__}.{field}"


def unequal(came: Tensor, expected: Tensor, *, rounding: bool) -> Bool[Tensor, "..."]:
    """Number by number. NaN equals NaN; with `rounding`, so do numbers that differ only by that."""
    if rounding and came.is_floating_point():
        return ~torch.isclose(came, expected, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return (came != expected) & ~(came.isnan() & expected.isnan())


def differences(
    came: Any,
    expected: Any,
    read: Bool[Tensor, "T B"],
    *,
    env_step: int,
    same_as: str,
    rounding: bool = False,
) -> Iterator[Failure]:
    """The first difference in each field of two NamedTuples, whose tensors lead with moments and copies.

    Args:
        read: where a difference matters.
        env_step: that of the first moment.
        same_as: what `expected` is.
    """
    for name, ours, theirs in zip(expected._fields, came, expected, strict=True):
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            yield Failure(label(expected, name), f"{described(theirs)}, {same_as}", described(ours), env_step)
            continue
        for t, copy, entry in first(unequal(ours, theirs, rounding=rounding), read):
            wanted, found = (number(values[t, copy], entry) for values in (theirs, ours))
            yield Failure(label(expected, name), f"{wanted}, {same_as}", found, env_step + t, copy)


def first(bad: Bool[Tensor, "T B *entries"], read: Bool[Tensor, "T B"]) -> list[tuple[int, int, int]]:
    """Moment, copy and flat index of the first bad entry that is read; nothing where there is none."""
    entries = bad.unsqueeze(-1).flatten(2) & read.unsqueeze(-1)
    return [(t, copy, entry) for t, copy, entry in entries.nonzero()[:1].tolist()]


def number(values: Tensor, entry: int) -> str:
    """One number of a tensor, and its place there: `0.25 at [1, 3]`."""
    place = ", ".join(str(int(index)) for index in torch.unravel_index(torch.tensor(entry), values.shape))
    value = values.flatten()[entry].item()
    return (f"{value:g}" if isinstance(value, float) else str(value)) + (f" at [{place}]" if place else "")
