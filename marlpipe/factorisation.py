"""What an algorithm has learned of some episodes, as diagnostics look at it."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Factorisation:
    """Values of joint actions beside the utilities that stand for them, to be read without gradients.

    utilities: of all actions; their maximum, agent by agent, is the decentralised policy.
    joint_value: the value of any joint actions, at each moment with a transition: what the greedy joint action is
        to maximise (IGM). Zero where not valid.
    slopes: ∂F_J/∂U_i at the taken actions. reads: which agents block J depends on.
    block_gradients: the norm of each block's loss gradient with respect to the utilities, over the whole batch.
    optimal_value: the unrestricted Q* of joint actions, where the algorithm learns one beside.
    """

    utilities: Float[Tensor, "B T N A"]
    joint_value: Callable[[Int[Tensor, "B T N"]], Float[Tensor, "B T"]]
    slopes: Callable[[], Float[Tensor, "B T J N"]]
    reads: Bool[Tensor, "J N"]
    block_gradients: Callable[[], Float[Tensor, " J"]]
    optimal_value: Callable[[Int[Tensor, "B T N"]], Float[Tensor, "B T"]] | None = None
