"""What one training step consists of: gradient steps, each of one loss and one optimiser's parameters."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marlpipe.types import Metrics

OptimizerOf = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Trained(NamedTuple):
    """Parameters that one optimiser owns. `optimizer` and `gradient_clip` (a norm): None stands for the profile's."""

    parameters: list[nn.Parameter]
    optimizer: OptimizerOf | None = None
    gradient_clip: float | None = None


class Update(NamedTuple):
    """One gradient step: `of` names the `Trained` parameters that `loss` moves."""

    of: str
    loss: Float[Tensor, ""]
    metrics: Metrics
