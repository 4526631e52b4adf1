"""LOMAQ's F_J: a small state-free network of the utilities within κ hops of the block (LOMAQ §4.1, Table 1)."""

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.errors import Hops, Width
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.mixers.reading import ReadSet, gather_read, read_set
from marlpipe.models.monotonicity.jacobian import jacobian
from marlpipe.models.monotonicity.method import MixingWeights, Monotonicity
from marlpipe.types import EnvSpec


class MonotoneMixer(Mixer):
    """x₁ = φ₁(U M₁ + c₁), x₂ = φ₂(x₁ M₂ + c₂), F_J = x₂ M₃ + c₃ with M_k = constrain(Θ_k), for all blocks at once.

    hidden: units of x₁ and x₂. hops: κ, how far from its own agents a block reads.
    sharing: which blocks share one set of parameters. Execution needs only the utilities.
    scaled_start: whether M_k are scaled before the first gradient step, if values exceed every return by then;
        runs of configs without it were not scaled.
    """

    mixing_weights: MixingWeights = "parameters"
    index: Int[Tensor, "J K"]
    present: Bool[Tensor, "J K"]
    group: Int[Tensor, " J"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        monotonicity: Monotonicity,
        hidden: Width,
        hops: Hops,
        sharing: Callable[[ReadSet, Float[Tensor, "J N"]], Int[Tensor, " J"]],
        scaled_start: bool = False,
    ) -> None:
        super().__init__()
        monotonicity.check(self)
        self.scaled_start = scaled_start
        self.constrain = monotonicity.constrain
        self.activations = monotonicity.activations
        read = read_set(partition, spec.graph, hops)
        group = sharing(read, partition)
        self.register_buffer("reads", read.read_mask, persistent=False)
        self.register_buffer("index", read.agents, persistent=False)
        self.register_buffer("present", read.present, persistent=False)
        self.register_buffer("group", group, persistent=False)
        groups, sizes = int(group.max()) + 1, (read.agents.shape[1], hidden, hidden, 1)
        self.theta = nn.ParameterList(torch.empty(groups, i, o) for i, o in itertools.pairwise(sizes))
        self.bias = nn.ParameterList(torch.zeros(groups, 1, o) for o in sizes[1:])
        for theta in self.theta:
            monotonicity.initialise(theta)
        monotonicity.after_step(self)  # a projected network is monotone from the start

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        del state
        read = gather_read(utilities, self.index, self.present).flatten(0, 1)  # (B·T,J,K)
        x1 = self.activations[0](self.affine(0, read.transpose(0, 1)))  # (J,B·T,H)
        x2 = self.activations[1](self.affine(1, x1))
        return torch.unflatten(self.affine(2, x2).squeeze(-1).T, 0, utilities.shape[:2])

    def affine(self, layer: int, x: Float[Tensor, "J M I"]) -> Float[Tensor, "J M K"]:
        """x M + c with the parameters of each block's group."""
        weight = self.constrain(self.theta[layer])
        return torch.baddbmm(self.bias[layer][self.group], x, weight[self.group])

    @torch.no_grad()
    def scale_start(self, factor: float) -> None:
        """Θ_k ← factor^⅓ Θ_k: F_J becomes factor · F_J, near enough while biases are 0; but for softplus of Θ_k, which
        cannot become that small.
        """
        if self.scaled_start:
            for theta in self.theta:
                theta.mul_(factor ** (1 / len(self.theta)))

    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J N"]:
        """∂F_J/∂U_i at the given utilities; not differentiable further."""
        with torch.enable_grad():
            inputs = utilities.detach().requires_grad_()
            return jacobian(self(inputs, state), inputs).detach()

    def monotone_weights(self) -> list[nn.Parameter]:
        return list(self.theta)
