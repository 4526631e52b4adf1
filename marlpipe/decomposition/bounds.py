"""What the numbers of a learned reward's config may be."""

from collections.abc import Mapping

from marlpipe.bound import Bound
from marlpipe.errors import UserError


def check_keys(path: str, given: Mapping[str, object], bounds: Mapping[str, Bound]) -> None:
    """UserError for the first of the keys below `path` that is out of its bounds."""
    for key, bound in bounds.items():
        if not bound.holds(given[key]):
            raise UserError(
                f"{path}.{key}={given[key]} is not possible.\n  valid: {bound}\n  next: {path}.{key}={bound.example}"
            )
