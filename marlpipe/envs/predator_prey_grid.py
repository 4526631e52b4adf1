"""A bounded grid, stored flat with a wall around it, so that all cells that can be reached or observed have an index.

A cell is a whole number: rows from top to bottom, in each of them columns from left to right, the wall included.
"""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (rows, columns) to the right, down, left and up
NOWHERE = 0  # a corner of the wall, which is adjacent to no floor cell


class Grid(NamedTuple):
    """The K cells of a grid, F of them floor."""

    width: int  # cells in a row, the wall included
    floor: Int[Tensor, " F"]
    walls: Bool[Tensor, " K"]
    neighbours: Int[Tensor, "4"]  # offsets of the adjacent cells, in the order of DIRECTIONS


@cache
def walled(rows: int, columns: int, border: int, device: torch.device) -> Grid:
    """rows × columns of floor in a wall `border` ≥ 1 thick: observations up to that radius stay inside the array."""
    width = columns + 2 * border
    cells = torch.arange((rows + 2 * border) * width, device=device)
    floor = cells.view(-1, width)[border:-border, border:-border].flatten()
    walls = torch.ones_like(cells, dtype=torch.bool).index_fill_(0, floor, False)
    neighbours = torch.tensor([down * width + right for down, right in DIRECTIONS], device=device)
    return Grid(width, floor, walls, neighbours)


@cache
def window(grid_width: int, radius: int, channels: int, device: torch.device) -> Int[Tensor, " V"]:
    """What to add to a cell's first channel for all channels of the (2·radius + 1)² cells around it, row by row."""
    reach = torch.arange(-radius, radius + 1, device=device)
    cells = (reach[:, None] * grid_width + reach).flatten()
    return (cells[:, None] * channels + torch.arange(channels, device=device)).flatten()


def beside(cells: Int[Tensor, "B X"], others: Int[Tensor, "B Y"], grid: Grid) -> Bool[Tensor, "B X Y"]:
    """Which cells share a side: of floor cells and NOWHERE."""
    distance = (cells.unsqueeze(2) - others.unsqueeze(1)).abs()
    return (distance == 1) | (distance == grid.width)
