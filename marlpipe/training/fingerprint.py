"""Hashes of nested values, equal on every machine if and only if the values are equal to the last bit."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def fingerprint(value: Any) -> str:
    """Sixteen hexadecimal digits for nested mappings, sequences, tensors, numbers, strings and None.

    Tensors are hashed by dtype, shape and bytes, on any device; numbers by their exact value, all NaN alike.

    Raises:
        TypeError: any other value, whose `repr` may be incomplete.
    """
    seen = hashlib.sha256()
    _feed(seen, value)
    return seen.hexdigest()[:16]


def _feed(seen: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        seen.update(f"{value.dtype}{tuple(value.shape)}".encode())
        seen.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        seen.update(f"{{{len(value)}".encode())
        for key in sorted(value, key=str):
            seen.update(f"{key!r}:".encode())
            _feed(seen, value[key])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        seen.update(f"[{len(value)}".encode())
        for part in value:
            _feed(seen, part)
    elif isinstance(value, str | int | float | None):
        seen.update(f"{value!r};".encode())
    else:
        raise TypeError(f"{type(value).__name__} has no fingerprint")
