"""GraphMIX's mixing: a graph network of utilities on edges of attention (Naderializadeh et al. 2020, and its code).

A = softmax_j((z W_q)(z W_k)ᵀ / √d) among living agents,  z_i = ReLU(Linear(h_i))
x_i = ELU(LeakyReLU((A q)_i W₁(s) + b₁(s)) W₂(s) + b₂(s))
Q_tot = mean_i x_i · w_out(s) + V(s),    share_i = softmax_i(x_i · w_share(s))     over the living agents
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import Width
from marlpipe.models.mixers.hypernet import HyperNetwork
from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec

NEVER = -1e10  # a score that has no weight in a softmax, and leaves it finite where all are such


class GraphMixed(NamedTuple):
    """Q_tot, and each agent's share of the team reward: non-negative, one in all, zero for the dead."""

    values: Float[Tensor, "B T 1"]
    shares: Float[Tensor, "B T N"]


def attention(
    queries: Float[Tensor, "*batch N D"], keys: Float[Tensor, "*batch N D"], alive: Bool[Tensor, "*batch N"]
) -> Float[Tensor, "*batch N N"]:
    """A: rows of living agents sum to one over the living, those of dead agents are zero."""
    together = alive.unsqueeze(-1) & alive.unsqueeze(-2)
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    return scores.masked_fill(~together, NEVER).softmax(-1) * together


class GraphAttentionMixing(nn.Module):
    """One layer of a graph isomorphism network, whose weights W₁, W₂ and w_out the monotonicity method constrains.

    features: the width of h_i, an agent's summary of its history. attention_width: d. embed: width of x_i.
    hypernet_hidden: hidden units of the networks that make weights from the state.
    """

    mixing_weights: MixingWeights = "generated"

    def __init__(
        self,
        *,
        spec: EnvSpec,
        features: int,
        monotonicity: Monotonicity,
        attention_width: Width,
        embed: Width,
        hypernet_hidden: Width,
    ) -> None:
        super().__init__()
        monotonicity.check(self)
        self.constrain, self.inner = monotonicity.constrain, (1 + embed) // 2
        self.encoder = nn.Sequential(nn.Linear(features, attention_width), nn.ReLU())
        self.query = nn.Linear(attention_width, attention_width, bias=False)
        self.key = nn.Linear(attention_width, attention_width, bias=False)

        def network(hidden: int | None, size: int) -> HyperNetwork:
            return HyperNetwork(blocks=1, state_dim=spec.state_dim, hidden=hidden, size=size)

        self.w1, self.b1 = network(hypernet_hidden, self.inner), network(None, self.inner)
        self.w2, self.b2 = network(hypernet_hidden, self.inner * embed), network(None, embed)
        self.w_out, self.v = network(hypernet_hidden, embed), network(embed, 1)
        self.w_share = network(hypernet_hidden, embed)

    def forward(
        self,
        utilities: Float[Tensor, "B T N"],
        features: Float[Tensor, "B T N H"],
        state: Float[Tensor, "B T S"],
        alive: Bool[Tensor, "B T N"],
    ) -> GraphMixed:
        z = self.encoder(features)
        adjacency = attention(self.query(z), self.key(z), alive)
        nodes = self.nodes(adjacency @ utilities.unsqueeze(-1), state)  # (B,T,N,embed)
        counted = alive.unsqueeze(-1)
        readout = (nodes * counted).sum(-2, keepdim=True) / counted.sum(-2, keepdim=True).clamp(min=1)
        values: Tensor = (readout * self.constrain(self.w_out(state))).sum(-1) + self.v(state).squeeze(-1)
        scores = (nodes * self.w_share(state)).sum(-1)
        return GraphMixed(values, scores.masked_fill(~alive, NEVER).softmax(-1))

    def nodes(self, neighbours: Float[Tensor, "B T N 1"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T N E"]:
        """x_i, of what attention sums up of the neighbours' utilities."""
        w1 = self.constrain(self.w1(state))  # (B,T,1,inner)
        w2 = torch.unflatten(self.constrain(self.w2(state)).squeeze(-2), -1, (self.inner, -1))
        hidden = F.leaky_relu(neighbours @ w1 + self.b1(state))
        return F.elu(hidden @ w2 + self.b2(state))

    def monotone_weights(self) -> list[nn.Parameter]:
        return []
