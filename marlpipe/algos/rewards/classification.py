"""r_I as one of a few values (LOMAQ Appendix B): the variant that its code calls binary rewards."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.rewards.set_rewards import SetRewards, Terms
from marlpipe.algos.rewards.sets import Sets
from marlpipe.errors import UserError
from marlpipe.types import EnvSpec


def sum_distribution(probabilities: Float[Tensor, "V I K"]) -> Float[Tensor, "V S"]:
    """P(Σ_i X_i = s) for s = 0 … I (K − 1), of independent X_i in {0, …, K − 1}.

    By definition that is the sum, over all choices (x_1, …, x_I) with Σ x_i = s, of Π_i P(X_i = x_i): K^I products.
    Ordered by the sum of the first half of the variables, it is Σ_k P(first half = k) P(second half = s − k), a
    convolution; and so on for each half.
    """
    parts = probabilities
    while parts.shape[1] > 1:
        if parts.shape[1] % 2:
            nothing = F.one_hot(parts.new_zeros((), dtype=torch.long), parts.shape[2]).to(parts)
            parts = torch.cat([parts, nothing.expand(len(parts), 1, -1)], dim=1)
        parts = convolved(parts[:, 0::2], parts[:, 1::2])
    return parts[:, 0, : probabilities.shape[1] * (probabilities.shape[2] - 1) + 1]


def convolved(first: Float[Tensor, "V I K"], second: Float[Tensor, "V I K"]) -> Float[Tensor, "V I L"]:
    """Σ_k first_k second_{s−k} for s = 0 … 2 (K − 1). Nothing is subtracted, so no small probability is lost."""
    width = first.shape[-1]
    windows = F.pad(first, (width - 1, width - 1)).unfold(-1, width, 1)  # (V,I,L,K): first_{s−K+1} … first_s
    return (windows * second.flip(-1).unsqueeze(-2)).sum(-1)


def at(distribution: Float[Tensor, "V S"], index: Int[Tensor, " V"]) -> Float[Tensor, " V"]:
    """P(S = index), zero for a sum that cannot be."""
    last = distribution.shape[1] - 1
    possible = (index >= 0) & (index <= last)
    return distribution.gather(1, index.clamp(0, last).unsqueeze(1)).squeeze(1) * possible


class Classification(SetRewards):
    """Each set has a distribution over values; the team reward, as a whole number, is one outcome of their sum.

    An agent alone has `single_values`, a set of k ≥ 2 the whole numbers from −k to k. r_I is the most probable value.
    """

    values: Float[Tensor, "I K"]

    def __init__(
        self, *, spec: EnvSpec, sets: Sets, features: Sequence[int] | None, single_values: Sequence[float]
    ) -> None:
        single = check_values(single_values)
        lists = {size: values_of(size, single) for size in {len(members) for members in sets}}
        super().__init__(spec=spec, sets=sets, features=features, outputs=lambda size: len(lists[size]))
        lowest = torch.tensor([lists[len(members)][0] for members in sets])
        width = round(2 * max(values[-1] - values[0] for values in lists.values())) + 1  # the widest list in halves
        self.lowest_sum = float(lowest.sum())
        self.register_buffer("values", lowest.unsqueeze(1) + torch.arange(width) / 2, persistent=False)
        for size, values in lists.items():
            places = torch.tensor([round(2 * (value - values[0])) for value in values])
            self.register_buffer(f"places_{size}", places, persistent=False)

    def probabilities(self, obs: Float[Tensor, "V N O"]) -> Float[Tensor, "V I K"]:
        """P(r_I = v) for v in steps of one half from the set's lowest value on; zero where v is none of its values."""
        placed = []
        for size, logits in zip(self.networks.sizes, self.networks(obs[..., self.features]), strict=True):
            empty = logits.new_zeros(*logits.shape[:2], self.values.shape[1])
            placed.append(empty.index_copy(2, self.get_buffer(f"places_{size}"), logits.softmax(-1)))
        return torch.cat(placed, dim=1)

    def forward(self, obs: Float[Tensor, "V N O"]) -> Float[Tensor, "V I"]:
        """The most probable value of every set, at V time steps."""
        likeliest = self.probabilities(obs).argmax(-1)  # (V,I)
        return self.values.expand(len(obs), -1, -1).gather(2, likeliest.unsqueeze(-1)).squeeze(-1)

    def terms(self, obs: Float[Tensor, "V N O"], team_rewards: Float[Tensor, " V"]) -> Terms:
        """−log(P(Σ_I r_I = r_team) + 1e-8) with the nearest whole team reward, and Σ_v P(r_I = v) v²."""
        probabilities = self.probabilities(obs)
        outcome = (2 * (team_rewards.round() - self.lowest_sum)).round().long()
        likelihood = at(sum_distribution(probabilities), outcome)
        return Terms(-torch.log(likelihood + 1e-8), (probabilities * self.values**2).sum(-1))


def values_of(size: int, single_values: list[float]) -> list[float]:
    """The values that r_I of a set of a size can take, ascending (LOMAQ's code)."""
    return single_values if size == 1 else [float(value) for value in range(-size, size + 1)]


def check_values(single_values: Sequence[float]) -> list[float]:
    """The values ascending. UserError unless they are whole or half numbers, each once, two at least."""
    ascending = sorted(float(value) for value in single_values)
    if len(set(ascending)) < max(2, len(ascending)) or any(2 * value % 1 for value in ascending):
        raise UserError(
            f"reward.model.single_values={list(single_values)} is not possible.\n"
            "  valid: two or more different whole or half numbers, as in reward.model.single_values=[0.0,0.5,1.0]"
        )
    return ascending
