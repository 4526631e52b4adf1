"""Particles by hand: contacts, distances, and which regions overlap."""

from math import log1p

import pytest
import torch

from marlpipe.envs import graphs
from marlpipe.envs.navigation_particles import REGIONS, contact_forces, contacts, distances, overlapping


@pytest.mark.parametrize(
    ("region", "offset", "coupled"),
    [
        ("square", (1.99, 1.99), True),
        ("square", (1.99, 2.01), False),
        ("circle", (1.4, 1.4), True),
        ("circle", (1.43, 1.43), False),
    ],
)
def test_regions_overlap_as_their_shapes_do(region: str, offset: tuple[float, float], coupled: bool) -> None:
    centres = torch.tensor([(0.0, 0.0), offset], dtype=torch.float64)
    assert torch.equal(overlapping(centres, REGIONS[region], 1.0), graphs.complete(2) & coupled)


def test_contacts_push_apart() -> None:
    force = contact_forces(torch.tensor([[[0.0, 0.0], [0.12, 0.16], [1.0, 1.0]]], dtype=torch.float64), 0.3)
    # 0.1 m of overlap makes 10 N, along (0.6, 0.8)
    torch.testing.assert_close(force, torch.tensor([[[-6, -8], [6, 8], [0, 0]]], dtype=torch.float64))
    rim = contact_forces(torch.tensor([[[0.0, 0.0], [0.3, 0.0]]], dtype=torch.float64), 0.3)
    assert rim[0, 1, 0].item() == pytest.approx(100 * 0.001 * log1p(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [1e-12, 1e-6, 1e-3])
def test_contacts_stay_finite(gap: float, dtype: torch.dtype) -> None:
    """At most 30 N between particles nearly in one place, none between those in one, 1e5 N between huge ones."""
    position = torch.tensor([[[0.0, 0.0], [gap, 0.0], [0.0, 0.0]]], dtype=dtype)
    force = contact_forces(position, 0.3)
    assert force.isfinite().all()
    assert force.abs().max() <= 60 + 1e-3
    torch.testing.assert_close(contact_forces(position[:, :2] * 0 + 7, 0.3), torch.zeros((1, 2, 2), dtype=dtype))
    assert contact_forces(torch.tensor([[[0.0, 0.0], [1.0, 0.0]]], dtype=dtype), 1001.0)[0, 1, 0] == 1e5


def test_distances_are_exact_far_from_the_origin() -> None:
    """Also between more than 25 points, from where PyTorch by itself would expand (p − q)²."""
    x = 1000 + torch.arange(40) / 128
    points = torch.stack((x, torch.zeros(40)), dim=1)
    assert torch.equal(distances(points, points), (x[:, None] - x).abs())


def test_contacts_count_those_who_touch() -> None:
    position = torch.tensor([[[0.0, 0.0], [0.29, 0.0], [0.0, 0.29], [0.6, 0.0]]])
    assert contacts(position, 0.3).tolist() == [[2, 1, 1, 0]]
