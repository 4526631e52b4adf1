"""What a projection weight may depend on. Everything in it is without gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionContext:
    """One batch's values. The callables are costly, and are called by the weights that need them.

    values: Q_k, the mixed values. targets: y = B*Q*. mask: the time steps to learn from.
    is_greedy: whether all agents of the block acted greedily.
    greedy_optimal_values: Q*(s, û) by the target central network. optimal_values: Q*(s, u) of the taken actions.
    slopes: ∂Q_k/∂U_i. reads: which agents a block's value depends on.
    """

    values: Float[Tensor, "B T J"]
    targets: Float[Tensor, "B T J"]
    mask: Bool[Tensor, "B T"]
    is_greedy: Bool[Tensor, "B T J"]
    utilities: Float[Tensor, "B T N A"]
    avail_actions: Bool[Tensor, "B T N A"]
    actions: Int[Tensor, "B T N"]
    reads: Bool[Tensor, "J N"]
    slopes: Callable[[], Float[Tensor, "B T J N"]]
    greedy_optimal_values: Float[Tensor, "B T J"] | None = None
    optimal_values: Callable[[], Float[Tensor, "B T J"]] | None = None


@runtime_checkable
class Projection(Protocol):
    """Weights w_J of the transitions, from the mixed values Q_k and, for those that call it, their context.

    needs_optimal_values: whether only an algorithm that learns the unrestricted Q* can use it.
    """

    needs_optimal_values: bool

    def __call__(
        self, values: Float[Tensor, "B T J"], context: Callable[[], ProjectionContext]
    ) -> Float[Tensor, "B T J"]: ...
