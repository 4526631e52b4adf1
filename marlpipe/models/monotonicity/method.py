"""A monotonicity method: all its halves in one object, so that invalid pairs cannot be written (LOMAQ §4.1, App. B)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import UserError
from marlpipe.models.monotonicity.penalties import Mix, Penalty
from marlpipe.types import EnvSpec

Activation = Callable[[Tensor], Tensor]
# parameters of the mixer; generated from the state by a hypernetwork; or monotone by the mixer's own construction
MixingWeights = Literal["parameters", "generated", "monotone"]


@runtime_checkable
class WeightedMixer(Protocol):
    """What a method needs of the mixer that it acts on."""

    @property
    def mixing_weights(self) -> MixingWeights: ...

    def monotone_weights(self) -> Iterable[nn.Parameter]: ...

    def parameters(self) -> Iterable[nn.Parameter]: ...


class Monotonicity:
    """What is done to mixing weights in the forward pass, to parameters after a step, and to the loss.

    acts_on: the kinds of mixing weights that the method can act on.
    constrain: weight -> the weight that mixes.
    project: parameter -> parameter, after each optimiser step (LOMAQ Algorithm 3); None: nothing.
    project_biases: whether `project` is applied to the mixer's biases too.
    penalty: (spec, partition) -> what is added to the temporal-difference loss.
    activations, initialise: between the layers, and of the weights at the start, of mixers whose mixing weights are
        parameters: free weights need bounded activations.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        acts_on: Sequence[MixingWeights],
        constrain: Callable[[Tensor], Tensor],
        project: Callable[[Tensor], Tensor] | None,
        project_biases: bool,
        penalty: Callable[[EnvSpec, Float[Tensor, "J N"]], Penalty],
        activations: Sequence[Activation],
        initialise: Callable[[Tensor], object],
    ) -> None:
        self.acts_on, self.constrain = tuple(acts_on), constrain
        self.project, self.project_biases = project, project_biases
        self.penalty = penalty(spec, partition)
        self.activations, self.initialise = tuple(activations), initialise

    def check(self, mixer: WeightedMixer) -> None:
        """UserError if the method has nothing to act on in this mixer."""
        if mixer.mixing_weights in self.acts_on:
            return
        if mixer.mixing_weights == "monotone":
            raise UserError(
                f"this monotonicity method acts on mixing weights, and {type(mixer).__name__} leaves it none: "
                "it is monotone by construction.\n  valid: monotonicity=none"
            )
        raise UserError(
            f"this monotonicity method acts on mixing weights that are {' or '.join(self.acts_on)}, and those of "
            f"{type(mixer).__name__} are {mixer.mixing_weights}.\n"
            "  valid: monotonicity=hard, abs, softplus, soft, none, or mixer=lomaq"
        )

    def penalised(
        self,
        td_loss: Float[Tensor, ""],
        values: Float[Tensor, "B T J"],
        utilities: Float[Tensor, "B T N"],
        mask: Bool[Tensor, "B T"],
        mix: Mix,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The loss with the penalty on values that `mix` computes from `utilities`; and the penalty alone."""
        penalty = self.penalty(values, utilities, mask, mix, generator)
        return self.penalty.loss_share * td_loss + penalty, penalty

    @torch.no_grad()
    def after_step(self, mixer: WeightedMixer) -> None:
        """Project the mixer's parameters, in place."""
        if self.project is not None:
            for parameter in mixer.parameters() if self.project_biases else mixer.monotone_weights():
                parameter.copy_(self.project(parameter))


def unchanged(weight: Tensor) -> Tensor:
    """Free weights."""
    return weight


def initialise_fan_in(weight: Tensor) -> None:
    """U(±1/√fan_in) for weights (..., fan_in, fan_out): how torch starts a linear layer."""
    bound = weight.shape[-2] ** -0.5
    nn.init.uniform_(weight, -bound, bound)
