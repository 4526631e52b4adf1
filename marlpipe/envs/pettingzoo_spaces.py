"""The spaces that agents of a PettingZoo world declare."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple, flatdim
from jaxtyping import Float32
from numpy import ndarray

from marlpipe.errors import UserError

MASK = "action_mask"  # key of the available actions, in the observation or in the infos


def without_mask(space: Space[Any]) -> Space[Any]:
    """The observation space of an agent, without the mask of its actions."""
    if isinstance(space, Dict) and MASK in space.spaces:
        return Dict({name: part for name, part in space.spaces.items() if name != MASK})
    return space


def scales(space: Space[Any]) -> Float32[ndarray, " O"]:
    """The factor of each number of a flattened observation: 1/255 for 8-bit pixels, 1 for all others."""
    if isinstance(space, Dict | Tuple):
        parts = space.spaces.values() if isinstance(space, Dict) else space.spaces
        return np.concatenate([scales(part) for part in parts])
    pixels = isinstance(space, Box) and space.dtype == np.uint8 and bool((space.high == 255).all())
    return np.full(flatdim(space), 1 / 255 if pixels else 1, dtype=np.float32)


def discrete(name: str, agent: str, space: Space[Any]) -> Discrete:
    """The space, if it is discrete; UserError otherwise."""
    if not isinstance(space, Discrete):
        raise UserError(
            f"{name}: {agent} acts in {space}.\n"
            "  valid: Discrete actions, each of which gets a value\n"
            "  next: choose them in env.arguments if the world has them, as in 'env.arguments={continuous: false}', or "
            "another env.name"
        )
    return space
