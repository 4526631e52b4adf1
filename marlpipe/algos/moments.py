"""Work at the moments that exist only: rows, each an episode of one moment, and back to episodes."""

from jaxtyping import Bool, Shaped
from torch import Tensor


def rows(exists: Bool[Tensor, "B T"], *fields: Shaped[Tensor, "B T ..."]) -> list[Shaped[Tensor, "V 1 ..."]]:
    """The V existing moments of each field."""
    return [field[exists].unsqueeze(1) for field in fields]


def padded(found: Shaped[Tensor, "V 1 ..."], exists: Bool[Tensor, "B T"]) -> Shaped[Tensor, "B T ..."]:
    """Rows put at their moments; zero elsewhere."""
    values = found.squeeze(1)
    return values.new_zeros(*exists.shape, *values.shape[1:]).index_put((exists,), values)
