"""The weightings of Weighted QMIX (Rashid et al. 2020, §4), and the one of plain QMIX."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.algos.projections.context import ProjectionContext
from marlpipe.errors import Share


def optimistic_weights(
    values: Float[Tensor, "B T J"], targets: Float[Tensor, "B T J"], alpha: float
) -> Float[Tensor, "B T J"]:
    """OW: w = 1 where Q_tot < y, else α."""
    return torch.where(values < targets, 1.0, alpha)


def central_weights(
    is_greedy: Bool[Tensor, "B T J"],
    targets: Float[Tensor, "B T J"],
    greedy_optimal_values: Float[Tensor, "B T J"],
    alpha: Share,
) -> Float[Tensor, "B T J"]:
    """CW: w = 1 where u = û or y > Q*(s, û), else α."""
    return torch.where(is_greedy | (targets > greedy_optimal_values), 1.0, alpha)


class Uniform:
    """All transitions count the same, whatever their context."""

    needs_optimal_values = False

    def __call__(
        self,
        values: Float[Tensor, "B T J"],
        context: Callable[[], ProjectionContext],  # noqa: ARG002
    ) -> Float[Tensor, "B T J"]:
        return torch.ones_like(values)


@dataclass(frozen=True, kw_only=True)
class Optimistic:
    """Underestimated transitions count 1, the others `alpha`."""

    alpha: float
    needs_optimal_values = False

    def __call__(
        self, values: Float[Tensor, "B T J"], context: Callable[[], ProjectionContext]
    ) -> Float[Tensor, "B T J"]:
        return optimistic_weights(values, context().targets, self.alpha)


@dataclass(frozen=True, kw_only=True)
class Central:
    """Greedy joint actions, and those better than the greedy one by Q*, count 1, the others `alpha`."""

    alpha: float
    needs_optimal_values = True

    def __call__(
        self,
        values: Float[Tensor, "B T J"],  # noqa: ARG002
        context: Callable[[], ProjectionContext],
    ) -> Float[Tensor, "B T J"]:
        known = context()
        assert known.greedy_optimal_values is not None
        return central_weights(known.is_greedy, known.targets, known.greedy_optimal_values, self.alpha)
