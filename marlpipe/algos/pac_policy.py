"""Maximum-entropy policies over discrete actions, and the temperature that weighs their entropy (PAC; SAC).

(Zhou, Lan, Aggarwal 2022; Haarnoja et al. 2018, §5.)
"""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import Bound, Factor
from marlpipe.models.utilities import masked_mean
from marlpipe.types import EnvSpec, OptimizerOf, Trained


def log_policy(
    logits: Float[Tensor, "*batch N A"], avail_actions: Bool[Tensor, "*batch N A"]
) -> tuple[Float[Tensor, "*batch N A"], Float[Tensor, "*batch N A"]]:
    """π and log π of the available actions; both zero for the others."""
    lowest = torch.finfo(logits.dtype).min
    log_pi = logits.masked_fill(~avail_actions, lowest).log_softmax(-1).masked_fill(~avail_actions, 0.0)
    return log_pi.exp() * avail_actions, log_pi


def entropies(pi: Float[Tensor, "*batch N A"], log_pi: Float[Tensor, "*batch N A"]) -> Float[Tensor, "*batch N"]:
    """H_i = −Σ_a π_i log π_i."""
    return -(pi * log_pi).sum(-1)


def soft_costs(
    pi: Float[Tensor, "*batch N A"],
    log_pi: Float[Tensor, "*batch N A"],
    utilities: Float[Tensor, "*batch N A"],
    temperature: Float[Tensor, ""],
) -> Float[Tensor, "*batch N"]:
    """Σ_a π_i (α log π_i − Q_i): what each agent's policy minimises."""
    return (pi * (temperature * log_pi - utilities)).sum(-1)


class Temperature(nn.Module):
    """α, learned so that entropies approach H̄ = `target_entropy_per_action` · A.

    initial_log: log α at the start. optimizer: parameters -> its own optimiser.
    highest: bound of α before `highest_until_env_steps`. lowest: bound of α after `lowest_from_env_steps`.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        initial_log: Annotated[float, Bound(-80, 80, integer=False)],
        target_entropy_per_action: float,
        optimizer: OptimizerOf,
        highest: Factor,
        highest_until_env_steps: Annotated[int, Bound(0, 10**12)],
        lowest: Factor,
        lowest_from_env_steps: Annotated[int, Bound(0, 10**12)],
    ) -> None:
        super().__init__()
        self.log_value = nn.Parameter(torch.tensor(initial_log))
        self.target_entropy = target_entropy_per_action * spec.n_actions
        self.optimizer = optimizer
        self.highest, self.highest_until_env_steps = highest, highest_until_env_steps
        self.lowest, self.lowest_from_env_steps = lowest, lowest_from_env_steps

    def forward(self, env_steps: int) -> Float[Tensor, ""]:
        """α after `env_steps` of training, within its bounds, without gradient."""
        value = self.log_value.detach().exp()
        if env_steps < self.highest_until_env_steps:
            value = value.clamp(max=self.highest)
        if env_steps > self.lowest_from_env_steps:
            value = value.clamp(min=self.lowest)
        return value

    def loss(self, entropies: Float[Tensor, "B T N"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
        """log α · mean[ Σ_i (H_i − H̄) ]: α falls where entropies are above their target."""
        return self.log_value * masked_mean((entropies - self.target_entropy).sum(-1), mask)

    def trained(self) -> Trained:
        """log α, with its own optimiser."""
        return Trained([self.log_value], self.optimizer)
