"""What each gradient step of a feed-forward critic sees of a batch: DOP's `critic_step_mode`."""

from collections.abc import Iterator

from jaxtyping import Bool, Int
from torch import Tensor

Places = tuple[Int[Tensor, " V"], Int[Tensor, " V"]]  # episodes and moments


def per_moment(trusted: Bool[Tensor, "B T"]) -> Iterator[Places]:
    """A step for each moment, the first one first; none for a moment that no episode has."""
    moment, episode = trusted.T.nonzero(as_tuple=True)
    at = 0
    for count in trusted.sum(0).tolist():
        if count:
            yield episode[at : at + count], moment[at : at + count]
        at += count


def all_at_once(trusted: Bool[Tensor, "B T"]) -> Iterator[Places]:
    """One step for all moments together: another, cheaper algorithm."""
    episode, moment = trusted.nonzero(as_tuple=True)
    yield episode, moment
