"""NamedTuples of tensors, taken as a whole."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor


def tokens(state: Any) -> list[str]:
    """What keeps a world's state from being copied and cut into copies: that it is no NamedTuple, or what is no tensor.

    There are worlds that only go forward, such as simulators, to which a state is a token and not all that there is.
    """
    name = type(state).__name__
    if not is_record(state) or not state:
        return [f"{name} is no NamedTuple of tensors"]
    return [f"{name}.{part} is no tensor" for part, field in state._asdict().items() if not isinstance(field, Tensor)]


def is_record(state: Any) -> bool:
    """Whether a world's state is a NamedTuple."""
    return isinstance(state, tuple) and hasattr(state, "_fields")


def copied(given: Any) -> Any:
    """The same with tensors of its own; a token stays what it is."""
    if not is_record(given):
        return given
    return type(given)(*(field.clone() if isinstance(field, Tensor) else field for field in given))


def indexed(given: Any, index: Tensor | slice | int | None) -> Any:
    """Every tensor of a value, indexed in its first dimension."""
    return type(given)(*(field[index] for field in given))


def stacked(values: Sequence[Any]) -> Any:
    """One value, whose tensors lead with the number of the given ones."""
    return type(values[0])(*(torch.stack(field) for field in zip(*values, strict=True)))


def mixed(kept: Bool[Tensor, " B"], ours: Any, theirs: Any) -> Any:
    """A value whose copies are ours where they are `kept`, and theirs elsewhere."""
    pairs = zip(ours, theirs, strict=True)
    return type(ours)(*(torch.where(kept.view(-1, *[1] * (our.dim() - 1)), our, their) for our, their in pairs))
