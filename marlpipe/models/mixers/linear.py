"""The linear mixer of DOP: a mean of the agents' values, weighted by the state (Wang et al. 2021)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import Width
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import MixingWeights
from marlpipe.types import EnvSpec


class LinearMixer(Mixer):
    """Q_tot = Σ_i k_i(s) Q_i (+ b(s)), where k_i = Σ_m |W₁(s)|_im |W₂(s)|_m, normalised so that Σ_i k_i = 1.

    W₁, W₂ and b₁ are affine in the state; b(s) = b₁(s) · |W₂(s)| + V(s), with V a network of one hidden layer.

    embed: how many terms m; also the hidden units of V. bias: whether b(s) is added.
    """

    mixing_weights: MixingWeights = "monotone"
    reads: Bool[Tensor, "1 N"]

    def __init__(self, *, spec: EnvSpec, embed: Width, bias: bool) -> None:
        super().__init__()
        self.n_agents = spec.n_agents
        self.w1 = nn.Linear(spec.state_dim, spec.n_agents * embed)
        self.w2 = nn.Linear(spec.state_dim, embed)
        self.b1 = nn.Linear(spec.state_dim, embed) if bias else None
        self.v = nn.Sequential(nn.Linear(spec.state_dim, embed), nn.ReLU(), nn.Linear(embed, 1)) if bias else None
        self.register_buffer("reads", torch.ones(1, spec.n_agents, dtype=torch.bool), persistent=False)

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T 1"]:
        weighted: Tensor = self.credits(state) * utilities
        return weighted.sum(-1, keepdim=True) + self.offset(state)

    def credits(self, state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T N"]:
        """k_i(s)."""
        w1 = torch.unflatten(self.w1(state).abs(), -1, (self.n_agents, -1))  # (B,T,N,E)
        k: Tensor = (w1 @ self.w2(state).abs().unsqueeze(-1)).squeeze(-1)
        return k / k.sum(-1, keepdim=True)

    def offset(self, state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T 1"]:
        """b(s), or zero."""
        if self.b1 is None or self.v is None:
            return state.new_zeros(*state.shape[:-1], 1)
        scaled: Tensor = (self.b1(state) * self.w2(state).abs()).sum(-1, keepdim=True)
        offset: Tensor = scaled + self.v(state)
        return offset

    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T 1 N"]:
        """∂Q_tot/∂Q_i = k_i(s), without gradient."""
        del utilities
        return self.credits(state).detach().unsqueeze(-2)

    def monotone_weights(self) -> list[nn.Parameter]:
        return []
