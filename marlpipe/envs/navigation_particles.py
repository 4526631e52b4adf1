"""Particles in the plane: how they push each other apart and move, and the regions that hold them.

The physics follows the multi-agent particle environment (Lowe et al. 2017), with particles of 1 kg; regions follow
LOMAQ's code. Lengths are in m, forces in N.
"""

from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.envs.scene import Box, Disc, Point, Shape

TIME_STEP = 0.1  # s
CONTACT_STIFFNESS = 100.0  # N/m
CONTACT_MARGIN = 1e-3  # m, over which a contact sets in
COINCIDENT = 1e-9  # m: particles closer than that have no direction in which to push each other


def distances(
    points: Float[Tensor, "*#B N 2"], others: Float[Tensor, "*#B M 2"], norm: float = 2.0
) -> Float[Tensor, "*B N M"]:
    """‖p − q‖ of every pair, in float32 as exact as the points are."""
    return torch.cdist(points, others, p=norm, compute_mode="donot_use_mm_for_euclid_dist")


def contact_forces(position: Float[Tensor, "B N 2"], contact_distance: float) -> Float[Tensor, "B N 2"]:
    """Σ_j k·ln(1 + exp((D − d_ij) / k))·c·(p_i − p_j) / d_ij, with margin k, stiffness c and D = `contact_distance`.

    The logarithm is a smooth max(0, D − d): nothing at a distance, c newtons per metre of overlap.
    """
    distance = distances(position, position)
    overlap = F.softplus(contact_distance - distance, beta=1 / CONTACT_MARGIN)
    stiffness = CONTACT_STIFFNESS * overlap / distance.clamp(min=COINCIDENT)
    apart = position[:, :, None] - position[:, None]  # p_i − p_j, 0 for a particle and itself
    return (stiffness[..., None] * apart).sum(2)


def contacts(position: Float[Tensor, "B N 2"], contact_distance: float) -> Int[Tensor, "B N"]:
    """How many others each particle touches."""
    return (distances(position, position) < contact_distance).sum(2) - 1


def accelerate(velocity: Float[Tensor, "B N 2"], force: Float[Tensor, "B N 2"], damping: float) -> Tensor:
    """v ← (1 − damping)·v + F·dt, in m/s."""
    return torch.add((1 - damping) * velocity, force, alpha=TIME_STEP)


def move(position: Float[Tensor, "B N 2"], velocity: Float[Tensor, "B N 2"]) -> Float[Tensor, "B N 2"]:
    """p ← p + v·dt, which uses the velocity after the forces."""
    return torch.add(position, velocity, alpha=TIME_STEP)


def confine_to_square(offset: Float[Tensor, "*B 2"], radius: float) -> Float[Tensor, "*B 2"]:
    """The nearest point of the square of half width `radius` around the origin."""
    return offset.clamp(-radius, radius)


def confine_to_circle(offset: Float[Tensor, "*B 2"], radius: float) -> Float[Tensor, "*B 2"]:
    """The nearest point of the circle around the origin: the same direction, at most `radius` away."""
    length: Tensor = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    return offset / (length / radius).clamp(min=1)


def square(centre: Point, radius: float, colour: str) -> Shape:
    """A square region as it is drawn: colour #rrggbb, the inside faint."""
    x, y = centre
    return Box((x - radius, y - radius), 2 * radius, 2 * radius, f"{colour}18", edge=colour)


def circle(centre: Point, radius: float, colour: str) -> Shape:
    """A circular region as it is drawn."""
    return Disc(centre, radius, f"{colour}18", edge=colour)


class Region(NamedTuple):
    """A shape around a centre: all points that are at most a radius away by a norm."""

    norm: float
    confine: Callable[[Tensor, float], Tensor]  # of offsets from the centre
    outline: Callable[[Point, float, str], Shape]


RegionName = Literal["square", "circle"]
REGIONS: dict[RegionName, Region] = {
    "square": Region(inf, confine_to_square, square),
    "circle": Region(2.0, confine_to_circle, circle),
}


def overlapping(centres: Float[Tensor, "N 2"], region: Region, radius: float) -> Bool[Tensor, "N N"]:
    """Pairs of agents whose regions share more than their rims: symmetric, no self-loops (LOMAQ §5.1)."""
    depth = 2 * radius - distances(centres, centres, region.norm)
    return (depth > 1e-9) & ~torch.eye(len(centres), dtype=torch.bool)
