"""Predators and prey on a grid take their turns, in the order of the public code of DCG, WQMIX and PyMARL2.

`occupied` marks the wall, the predators and the prey of each copy, and is kept up to date in place from turn to turn.
Removed predators and caught prey are NOWHERE. B copies, N predators, M prey, K cells.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from marlpipe.envs.predator_prey_grid import NOWHERE, Grid, beside


class Draws(NamedTuple):
    """All random draws of one time step, independent of its course."""

    predator_order: Int[Tensor, "B N"]  # whose turn comes first, second, …
    prey_order: Int[Tensor, "B M"]
    directions: Int[Tensor, "B M 4"]  # by turn, the order of preference of the prey's directions


def draw(n: int, n_predators: int, n_prey: int, generator: torch.Generator) -> Draws:
    """Independent uniform permutations for each of n copies."""
    noise = torch.rand((n, n_predators + 5 * n_prey), generator=generator, device=generator.device)
    predators, prey, directions = torch.split(noise, [n_predators, n_prey, 4 * n_prey], dim=1)
    return Draws(predators.argsort(1), prey.argsort(1), directions.view(n, n_prey, 4).argsort(2))


def in_turn(values: Int[Tensor, "B X"], order: Int[Tensor, "B X"]) -> tuple[Int[Tensor, "B 1"], ...]:
    """The values in the order of turns: first, second, …"""
    return values.gather(1, order).unsqueeze(2).unbind(1)


def from_turns(turns: list[Int[Tensor, "B 1"]], order: Int[Tensor, "B X"]) -> Int[Tensor, "B X"]:
    """The inverse of `in_turn`."""
    return torch.empty_like(order).scatter_(1, order, torch.cat(turns, dim=1))


def move_predators(
    occupied: Bool[Tensor, "B K"],
    predators: Int[Tensor, "B N"],
    targets: Int[Tensor, "B N"],
    order: Int[Tensor, "B N"],
) -> Int[Tensor, "B N"]:
    """The cells after each predator, in its turn, has moved to its target, or stayed if that was occupied."""
    moved = []
    for cell, target in zip(in_turn(predators, order), in_turn(targets, order), strict=True):
        after = torch.where(occupied.gather(1, target), cell, target)
        occupied.scatter_(1, cell, False).scatter_(1, after, True)
        moved.append(after)
    return from_turns(moved, order)


class Chase(NamedTuple):
    """The result of the prey's turns."""

    prey: Int[Tensor, "B M"]  # its cell; the last one if it is caught now
    catchers: Int[Tensor, "B M"]  # number of predators that tried to catch it in its turn
    removed: Bool[Tensor, "B N"]  # predators that caught something


def chase_prey(
    occupied: Bool[Tensor, "B K"],
    catchers: Int[Tensor, "B N"],
    prey: Int[Tensor, "B M"],
    draws: Draws,
    threshold: int,
    grid: Grid,
) -> Chase:
    """Each prey, in its turn, is caught if at least `threshold` catchers are adjacent, which are removed with it.

    Otherwise it moves to its preferred free adjacent cell, or stays if there is none. `catchers` are the cells
    of the predators that try to catch, NOWHERE for the others. Cells of caught prey and removed predators are free at
    once.
    """
    here = prey.gather(1, draws.prey_order).unsqueeze(2)
    in_reach = beside(here.squeeze(2), catchers, grid)
    options = torch.cat((here + grid.neighbours[draws.directions], here), dim=2).masked_fill(here == NOWHERE, NOWHERE)

    removed = torch.zeros_like(catchers, dtype=torch.bool)
    moved, counts = [], []
    for cell, choices, able in zip(here.unbind(1), options.unbind(1), in_reach.unbind(1), strict=True):
        trying = able & ~removed
        count = trying.sum(1, keepdim=True)
        escaped = count < threshold
        successful = trying & ~escaped
        removed |= successful
        occupied.scatter_(1, torch.where(successful, catchers, NOWHERE), False).scatter_(1, cell, False)
        first_free = occupied.gather(1, choices).view(torch.uint8).argmin(1, keepdim=True)
        after = torch.where(escaped, choices.gather(1, first_free), cell)
        occupied.scatter_(1, after, escaped)
        moved.append(after)
        counts.append(count)
    return Chase(from_turns(moved, draws.prey_order), from_turns(counts, draws.prey_order), removed)
