"""QPLEX's duplex dueling mixing: all functions that the agents' own greedy actions maximise (Wang et al. 2021, §3).

q̃_i = w_i(s) Q_i(a_i) + v_i(s),  m̃_i = w_i(s) max_a Q_i(a) + v_i(s),  w, λ > 0
Q_tot = Σ_i m̃_i + Σ_i λ_i(s, a) (q̃_i − m̃_i)
λ_i(s, a) = Σ_k |key_k(s)| σ(agent_k(s))_i σ(action_k(s, a))_i
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.errors import Layers, Width
from marlpipe.models.layers import GroupedLinear, perceptron
from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec

TINY = 1e-10  # added to w and |key|, which are positive, as in the authors' code


class Duplex(NamedTuple):
    """Coefficients of the duplex mixing, from the state and the joint action: w, v and λ of each agent."""

    weight: Float[Tensor, "*batch N"]
    offset: Float[Tensor, "*batch N"]
    importance: Float[Tensor, "*batch N"]

    def transformed(self, utilities: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch N"]:
        """w Q + v."""
        return self.weight * utilities + self.offset

    def advantage(
        self, utilities: Float[Tensor, "*batch N"], best: Float[Tensor, "*batch N"]
    ) -> Float[Tensor, "*batch N"]:
        """A_i = q̃_i − m̃_i: at most zero, zero for greedy actions."""
        return self.transformed(utilities) - self.transformed(best)

    def dueling_value(
        self, utilities: Float[Tensor, "*batch N"], best: Float[Tensor, "*batch N"]
    ) -> Float[Tensor, "*batch"]:
        """Q_tot = Σ m̃ + Σ λ A, whose slopes ∂Q_tot/∂Q_i are w_i λ_i."""
        return (self.transformed(best) + self.importance * self.advantage(utilities, best)).sum(-1)

    def trained_value(
        self, utilities: Float[Tensor, "*batch N"], best: Float[Tensor, "*batch N"]
    ) -> Float[Tensor, "*batch"]:
        """The same number as Σ q̃ + Σ (λ − 1) A with A held constant: A trains λ alone, and utilities learn with w."""
        advantage = self.advantage(utilities, best).detach()
        return (self.transformed(utilities) + (self.importance - 1) * advantage).sum(-1)


class Heads(nn.Module):
    """K networks of one input side by side, each of `layers` affine maps with ReLU between."""

    def __init__(self, *, heads: Layers, layers: int, in_features: int, hidden: int, out_features: int) -> None:
        super().__init__()
        self.heads = heads
        widths = [hidden] * (layers - 1) + [out_features]
        self.first = nn.Linear(in_features, heads * widths[0])
        later = [GroupedLinear(groups=heads, in_features=i, out_features=o) for i, o in itertools.pairwise(widths)]
        self.later = nn.Sequential(*(part for affine in later for part in (nn.ReLU(), affine)))

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch K O"]:
        y: Tensor = self.later(torch.unflatten(self.first(x), -1, (self.heads, -1)))
        return y


class DuplexMixer(nn.Module):
    """The networks of w, v and λ. The monotonicity method makes w and the keys of λ non-negative.

    transform_hidden: hidden units of w's and v's networks. heads: K. attention_layers: affine maps of each network
    of a head. attention_hidden: units between them.
    """

    mixing_weights: MixingWeights = "generated"

    def __init__(
        self,
        *,
        spec: EnvSpec,
        monotonicity: Monotonicity,
        transform_hidden: Width,
        heads: Layers,
        attention_layers: Layers,
        attention_hidden: Width,
    ) -> None:
        super().__init__()
        monotonicity.check(self)
        self.constrain, self.n_actions = monotonicity.constrain, spec.n_actions

        def transform() -> nn.Module:
            return perceptron(spec.state_dim, transform_hidden, spec.n_agents)

        def attention(in_features: int, out_features: int) -> Heads:
            return Heads(
                heads=heads,
                layers=attention_layers,
                in_features=in_features,
                hidden=attention_hidden,
                out_features=out_features,
            )

        self.w, self.v = transform(), transform()
        self.key = attention(spec.state_dim, 1)
        self.agent = attention(spec.state_dim, spec.n_agents)
        self.action = attention(spec.state_dim + spec.n_agents * spec.n_actions, spec.n_agents)

    def forward(self, state: Float[Tensor, "*batch S"], actions: Int[Tensor, "*batch N"]) -> Duplex:
        joint_action = F.one_hot(actions, self.n_actions).flatten(-2).to(state)
        key = self.constrain(self.key(state)) + TINY  # (*batch,K,1)
        of_agent = self.agent(state).sigmoid()  # (*batch,K,N)
        of_action = self.action(torch.cat([state, joint_action], dim=-1)).sigmoid()
        return Duplex(
            weight=self.constrain(self.w(state)) + TINY,
            offset=self.v(state),
            importance=(key * of_agent * of_action).sum(-2),
        )

    def monotone_weights(self) -> list[nn.Parameter]:
        return []
