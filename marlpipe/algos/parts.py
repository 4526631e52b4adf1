"""The exchangeable parts of an algorithm, and which of them it accepts."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.algos.projections.context import Projection
from marlpipe.algos.projections.weighted import Uniform
from marlpipe.algos.rewards.reward import Reward
from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.builtin import BuiltInMixer
from marlpipe.models.mixers.mixer import MakesMixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.types import EnvSpec, Makes


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """The config groups of the same names. `agent` and `mixer` make networks: an algorithm may need several."""

    spec: EnvSpec
    partition: Float[Tensor, "J N"]
    agent: Makes[Agent]
    mixer: MakesMixer | BuiltInMixer
    monotonicity: Monotonicity
    projection: Projection
    reward: Reward


@dataclass(frozen=True, kw_only=True)
class Accepts:
    """The parts that an algorithm works with.

    blocks: `one` value of the whole team, or `any` partition. mixer: of the config `group`, or `builtin`.
    weights: `any` projection, those `without_q_star`, or the `uniform` one.
    """

    blocks: Literal["one", "any"]
    mixer: Literal["group", "builtin"]
    weights: Literal["any", "without_q_star", "uniform"]

    def check(self, parts: Parts, algorithm: str) -> None:
        """UserError for a part that the algorithm does not work with."""
        blocks, weights = len(parts.partition), type(parts.projection).__name__
        if self.blocks == "one" and blocks != 1:
            raise UserError(
                f"{algorithm} learns one value of the whole team, and the partition has {blocks} blocks.\n"
                "  valid: partition=full, or an algo that learns a value per block, such as lomaq"
            )
        if self.mixer == "builtin" and not isinstance(parts.mixer, BuiltInMixer):
            raise UserError(f"{algorithm} has a built-in mixer, which no other can replace.\n  valid: mixer=builtin")
        if self.weights == "uniform" and not isinstance(parts.projection, Uniform):
            raise UserError(f"{algorithm} does not weight its transitions.\n  valid: projection=uniform")
        if self.weights == "without_q_star" and parts.projection.needs_optimal_values:
            raise UserError(
                f"the projection {weights} compares with the unrestricted Q*, which {algorithm} does not learn.\n"
                "  valid: projection=uniform or optimistic, or algo=qpro, ow_qmix, cw_qmix"
            )


@runtime_checkable
class MakesValue(Protocol):
    """Makes an unrestricted value of each block, of utilities (B,T,N) and state (B,T,S)."""

    def __call__(self, *, spec: EnvSpec, partition: Float[Tensor, "J N"]) -> nn.Module: ...


@runtime_checkable
class Returns(Protocol):
    """Targets y_t from rewards and the values V_0 … V_T; zero where not valid (`marlpipe.algos.targets`)."""

    def __call__(
        self,
        rewards: Float[Tensor, "B T J"],
        next_values: Float[Tensor, "B T1 J"],
        terminated: Bool[Tensor, "B T"],
        valid: Bool[Tensor, "B T"],
        /,
    ) -> Float[Tensor, "B T J"]: ...
