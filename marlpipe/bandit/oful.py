"""Multi-OFUL: optimistic least squares for each joint action of each block (LOMAQ §3.2, Algorithm 1).

    ŷ = ⟨x, V⁻¹Y⟩,    UCB = √β_J ‖x‖_{V⁻¹},    a_J = argmax ŷ + α UCB;    of the action taken: V += xxᵀ,  Y += x r_J

Y is kept per block action (J, a_J), a bandit arm, as V is and as in the proof; the printed algorithm has one per block.
With the partition P = {V} this is OFUL (Abbasi-Yadkori, Pál, Szepesvári 2011) on the team's reward.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

REFRESH_EVERY = 1000  # plays of a block action, after which V⁻¹ is recomputed to remove rounding errors


class Estimates(NamedTuple):
    """The estimates of B seeds for M block actions, in double precision; D is the length of a context."""

    gram: Float[Tensor, "B M D D"]  # V = λI + Σ xxᵀ over the rounds in which it was played
    inverse: Float[Tensor, "B M D D"]  # V⁻¹
    response: Float[Tensor, "B M D"]  # Y = Σ x r_J over these rounds
    plays: Int[Tensor, "B M"]  # the number of these rounds


def prior(n_seeds: int, n_block_actions: int, context_dim: int, ridge: float) -> Estimates:
    """V = λI and Y = 0 of every block action."""
    identity = torch.eye(context_dim, dtype=torch.float64).expand(n_seeds, n_block_actions, -1, -1)
    return Estimates(
        gram=ridge * identity,
        inverse=identity / ridge,
        response=torch.zeros(n_seeds, n_block_actions, context_dim, dtype=torch.float64),
        plays=torch.zeros(n_seeds, n_block_actions, dtype=torch.long),
    )


def upper_confidence(
    estimates: Estimates, context: Float[Tensor, "B D"], radius: Float[Tensor, " M"], exploration_factor: float
) -> Float[Tensor, "B M"]:
    """ŷ + α √β_J ‖x‖_{V⁻¹} of every block action; `radius` is √β_J of its block, `exploration_factor` is α."""
    solved = (estimates.inverse @ context[:, None, :, None]).squeeze(-1)  # V⁻¹x
    predicted = (solved * estimates.response).sum(-1)
    width = (solved * context.unsqueeze(1)).sum(-1).sqrt()
    return predicted + exploration_factor * radius * width


def update(
    estimates: Estimates, actions: Int[Tensor, "B J"], context: Float[Tensor, "B D"], rewards: Float[Tensor, "B J"]
) -> Estimates:
    """The estimates after each block J has taken one of its actions and received r_J."""
    seeds = torch.arange(len(actions), device=actions.device).unsqueeze(1)
    played = (seeds, actions)
    x = context.unsqueeze(1)  # B 1 D
    gram = estimates.gram[played] + x.unsqueeze(-1) * x.unsqueeze(-2)
    inverse = sherman_morrison(estimates.inverse[played], x)
    response = estimates.response[played] + x * rewards.unsqueeze(-1)
    plays = estimates.plays[played] + 1
    due = plays % REFRESH_EVERY == 0
    if due.any():
        fresh = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        inverse = torch.where(due[..., None, None], fresh, inverse)
    return Estimates(
        gram=estimates.gram.index_put(played, gram),
        inverse=estimates.inverse.index_put(played, inverse),
        response=estimates.response.index_put(played, response),
        plays=estimates.plays.index_put(played, plays),
    )


def sherman_morrison(inverse: Float[Tensor, "*A D D"], x: Float[Tensor, "*#A D"]) -> Float[Tensor, "*A D D"]:
    """(V + xxᵀ)⁻¹ = V⁻¹ − V⁻¹x (V⁻¹x)ᵀ / (1 + xᵀV⁻¹x), V being symmetric."""
    solved = (inverse @ x.unsqueeze(-1)).squeeze(-1)
    scale = 1 + (solved * x).sum(-1)
    return inverse - solved.unsqueeze(-1) * solved.unsqueeze(-2) / scale[..., None, None]
