"""Theorem 1 of LOMAQ on Multi-OFUL: the confidence radius of a block, and the bound on the regret."""

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.errors import UserError

Noise = Literal["independent", "sum"]


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The constants of the theorem. UserError where its confidence radius is not a real number."""

    sizes: tuple[int, ...]  # |J| of the blocks of P
    n_actions: int  # K
    context_dim: int  # d
    context_radius: float  # S_x
    parameter_radius: float  # S_θ
    noise: float  # R_max, the largest R_J
    ridge: float  # λ
    delta: float  # δ: the bound holds with probability 1 − δ

    def __post_init__(self) -> None:
        most = len(self.sizes) * self.n_actions ** min(self.sizes) * (1 + self.context_radius)
        if self.ridge * self.delta > most:
            raise UserError(
                f"ridge={self.ridge:g} with delta={self.delta:g} has no confidence radius: log(|P| K^|J| (1 + S_x) / "
                f"(λδ)) is negative.\n  valid: ridge of at most {most / self.delta:.6g}"
            )

    @property
    def n_block_actions(self) -> int:
        """K_P = Σ_J K^|J|."""
        return sum(self.n_actions**size for size in self.sizes)


def block_noise(size: int, noise: float, rule: Noise) -> float:
    """R_J of a block of |J| = `size` agents, each with noise of standard deviation σ = `noise`.

    `independent`: σ √|J|. `sum`: σ |J|, also for dependent noise; for P = {V} it is the paper's R_tot = Σ R_i.
    """
    return noise * (sqrt(size) if rule == "independent" else size)


def confidence_radius(constants: Constants, rounds: Float[Tensor, " T"]) -> Float[Tensor, "T J"]:
    """√β_J(t, δ) = √λ |J| S_θ + R_max √(d log(|P| K^|J| (1 + t S_x) / (λδ))) of each round t, counted from 1."""
    c, sizes = constants, torch.tensor(constants.sizes, dtype=rounds.dtype, device=rounds.device)
    odds = torch.log1p(rounds * c.context_radius).unsqueeze(1) + sizes * log(c.n_actions)
    odds = odds + log(len(c.sizes)) - log(c.ridge * c.delta)
    return sqrt(c.ridge) * sizes * c.parameter_radius + c.noise * (c.context_dim * odds).sqrt()


def printed_bound(constants: Constants, rounds: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
    """The regret of T rounds is, with probability 1 − δ, at most (Theorem 1 as printed)

    2 √T · √(d K_P log(λ + T S_x² / (K d))) · (√λ n S_θ + R_max √(d log(|P| Kⁿ (1 + T S_x) / (λδ)))).

    NaN where the first logarithm is negative, which is possible for few rounds with λ < 1.
    """
    c, n_agents = constants, sum(constants.sizes)
    volume = torch.log(c.ridge + rounds * c.context_radius**2 / (c.n_actions * c.context_dim))
    odds = torch.log1p(rounds * c.context_radius) + n_agents * log(c.n_actions)
    odds = odds + log(len(c.sizes)) - log(c.ridge * c.delta)
    radius = sqrt(c.ridge) * n_agents * c.parameter_radius + c.noise * (c.context_dim * odds).sqrt()
    return 2 * rounds.sqrt() * (c.context_dim * c.n_block_actions * volume).sqrt() * radius


def corrected_bound(constants: Constants, rounds: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
    """√|P| times the printed bound: the proof squares a sum over the blocks without this factor of Cauchy-Schwarz."""
    return sqrt(len(constants.sizes)) * printed_bound(constants, rounds)
