"""LOMAQ's mixing by graph convolution: κ layers on the coupling graph, then a network per block (LOMAQ App. B).

The paper gives the idea. The public code's layers join all agents; here a layer reaches one hop, as the paper says.
"""

import itertools
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.errors import Hops, Width
from marlpipe.models.graphs import normalised_adjacency
from marlpipe.models.mixers.hypernet import HypernetMixer
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.mixers.reading import read_set
from marlpipe.models.monotonicity.jacobian import jacobian
from marlpipe.models.monotonicity.method import Activation, MixingWeights, Monotonicity
from marlpipe.types import EnvSpec


class GraphConvolutionMixer(Mixer):
    """H⁰ = U, H^{l+1} = φ(Ã H^l M_l + b_l), M_l = constrain(Θ_l), shared by agents; F_J = head_J(Σ_{i∈J} H^κ_i, s).

    A head is QMIX's network of its block's features, its weights made from the state and constrained likewise. Ã and φ
    do not fall, so where all weights are non-negative F_J rises in each U_i within κ hops and ignores the others.

    hops: κ, the number of layers. width: features of an agent after a layer. activation: φ.
    embed, hypernet_hidden: hidden units of the heads, and of the networks that make their weights.
    """

    mixing_weights: MixingWeights = "parameters"  # of the layers; the heads answer for theirs
    adjacency: Float[Tensor, "N N"]
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        monotonicity: Monotonicity,
        hops: Hops,
        width: Width,
        activation: Activation,
        embed: Width,
        hypernet_hidden: Width,
    ) -> None:
        super().__init__()
        monotonicity.check(self)
        self.constrain, self.activation = monotonicity.constrain, activation
        self.register_buffer("reads", read_set(partition, spec.graph, hops).read_mask, persistent=False)
        self.register_buffer("adjacency", normalised_adjacency(spec.graph), persistent=False)
        self.register_buffer("partition", partition, persistent=False)
        sizes = [1] + [width] * hops
        self.theta = nn.ParameterList(torch.empty(i, o) for i, o in itertools.pairwise(sizes))
        self.bias = nn.ParameterList(torch.zeros(o) for o in sizes[1:])
        for theta in self.theta:
            monotonicity.initialise(theta)
        blocks, inputs = len(partition), len(partition) * sizes[-1]
        self.heads = HypernetMixer(  # of features in place of utilities: each block reads its own
            spec=replace(spec, n_agents=inputs, graph=torch.zeros(inputs, inputs, dtype=torch.bool)),
            partition=torch.eye(blocks).repeat_interleave(sizes[-1], dim=1),
            monotonicity=monotonicity,
            embed=embed,
            hypernet_hidden=hypernet_hidden,
            hops=0,
        )

    def forward(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J"]:
        features = utilities.unsqueeze(-1)
        for theta, bias in zip(self.theta, self.bias, strict=True):
            features = self.activation(self.adjacency @ features @ self.constrain(theta) + bias)
        values: Tensor = self.heads((self.partition @ features).flatten(-2), state)
        return values

    def slopes(self, utilities: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T J N"]:
        """∂F_J/∂U_i at the given utilities; not differentiable further."""
        with torch.enable_grad():
            inputs = utilities.detach().requires_grad_()
            return jacobian(self(inputs, state), inputs).detach()

    def monotone_weights(self) -> list[nn.Parameter]:
        return list(self.theta)
