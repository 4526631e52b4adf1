"""Which agents take part in a graph at each moment. A world says nothing of it, so it is read off the episodes."""

import torch
from jaxtyping import Bool
from torch import Tensor

from marlpipe.types import EpisodeBatch


def everyone(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """All agents, always."""
    return torch.ones_like(batch.avail_actions[..., 0])


def seeing_or_choosing(batch: EpisodeBatch) -> Bool[Tensor, "B T1 N"]:
    """Agents that observe anything but zeros or have more than one available action.

    Whom predator-prey removes has neither. Not for worlds in which a living agent may have neither.
    """
    return (batch.obs != 0).any(-1) | (batch.avail_actions.sum(-1) > 1)
