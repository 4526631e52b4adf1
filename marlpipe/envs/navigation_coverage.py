"""Rewards for covering landmarks, and the landmarks that agents observe. Lengths are in m; N agents, L landmarks.

Both follow LOMAQ's code. An agent covers a landmark closer than `reach`, the sum of their radii.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor


def split_among_occupants(
    distance: Float[Tensor, "B N L"],
    reach: float,
    landmark_radius: float,  # noqa: ARG001 a landmark is covered or it is not
) -> Float[Tensor, "B N"]:
    """Each landmark gives a reward of 1, split equally among the agents that cover it."""
    covered = (distance < reach).to(distance.dtype)
    return (covered / covered.sum(1, keepdim=True).clamp(min=1)).sum(2)


def pay_the_closest(
    distance: Float[Tensor, "B N L"],
    reach: float,  # noqa: ARG001 the closest agent is rewarded at any distance
    landmark_radius: float,
) -> Float[Tensor, "B N"]:
    """Each landmark rewards the agent closest to it: R / max(R, d), with the landmark's radius R."""
    nearest, agent = distance.min(1)
    return torch.zeros_like(distance[..., 0]).scatter_add(
        1, agent, landmark_radius / nearest.clamp(min=landmark_radius)
    )


Sharing = Literal["occupants", "closest"]
SHARINGS: dict[Sharing, Callable[[Tensor, float, float], Tensor]] = {
    "occupants": split_among_occupants,
    "closest": pay_the_closest,
}


def nearness(distance: Float[Tensor, "B N L"], landmark_radius: float) -> Float[Tensor, "B N"]:
    """Σ_l R / max(R, d_il): 1 for each landmark of radius R that the agent's centre is on, less for distant ones."""
    return (landmark_radius / distance.clamp(min=landmark_radius)).sum(2)


def seen_landmarks(
    distance: Float[Tensor, "B N L"], from_centre: Float[Tensor, "B N L"], region_radius: float, count: int
) -> Int[Tensor, "B N K"]:
    """The `count` landmarks that each agent observes: those of its region in index order, then the nearest others.

    `from_centre` measures from the centre of the agent's region, by the region's norm.
    """
    n_landmarks = distance.shape[2]
    in_order = torch.arange(-n_landmarks, 0, dtype=distance.dtype, device=distance.device)  # before any distance
    return torch.where(from_centre <= region_radius, in_order, distance).topk(count, largest=False).indices


def occupancy(distance: Float[Tensor, "B N L"], reach: float) -> Float[Tensor, "B N"]:
    """0 if the agent covers no landmark, else 1 plus the number of other agents on each landmark that it covers."""
    covered = (distance < reach).to(distance.dtype)
    others = covered.sum(1, keepdim=True) - 1
    return (covered * others).sum(2) + covered.amax(2)
