"""Hydra's own sweeper, for grids that were checked before Hydra sees them."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class GridSweeper(BasicSweeper):
    """Every combination of swept values. `marlpipe.grid` has composed and built all arms, so nothing is checked again.

    Args:
        max_batch_size: jobs handed to the launcher at a time. None: all of them.
        params: swept values by key, which the command line can replace.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Hydra composes every job here only to see whether it can, a sixth of a second each."""
