"""Target networks: frozen copies of what is trained, from which targets are computed (Mnih et al. 2015)."""

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class WithTargets(nn.Module):
    """A module with frozen copies of some of its networks."""

    def __init__(self) -> None:
        super().__init__()
        self._copies: list[tuple[nn.Module, nn.Module]] = []  # a network, and its copy

    def target_of(self, network: M) -> M:
        """A copy without gradients, which `sync_targets` renews. Its weights are saved under the attribute's name."""
        target = copy.deepcopy(network).requires_grad_(False)
        self._copies.append((network, target))
        return target

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Copies the weights of all networks that have targets, those of submodules too, into the targets."""
        for module in self.modules():
            if isinstance(module, WithTargets):
                for network, target in module._copies:
                    target.load_state_dict(network.state_dict())
