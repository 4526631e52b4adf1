"""A sweeper that learns from the runs that it has launched which ones to launch next."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, Protocol

from hydra.core.utils import JobReturn

from hydra_plugins.marlpipe_grid_sweeper import GridSweeper


class Search(Protocol):
    """Whoever decides."""

    def batches(self, overrides: Sequence[str]) -> Generator[list[list[str]], None, None]:
        """The overrides of runs to launch, which are over when the next batch is asked for, or in a queue.

        overrides: those of the search, with what it may vary.
        """


class SearchSweeper(GridSweeper):
    """Launches what a search proposes. What became of a run is in its folder, where the search reads it.

    Args:
        search: makes one from the settings.
        max_batch_size, params: as `GridSweeper` takes them.
        settings: of the search.
    """

    def __init__(self, *, search: Callable[..., Search], max_batch_size: int | None, params: Any, **settings: Any):
        super().__init__(max_batch_size, params)
        self._search = search(**settings)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """What became of the jobs, by batch."""
        assert self.launcher is not None
        number = 0
        done: list[Sequence[JobReturn]] = []
        with closing(self._search.batches([*self._parse_config(), *arguments])) as batches:
            for batch in batches:
                for part in self.split_overrides_to_chunks(batch, self.max_batch_size):
                    done.append(self.launcher.launch(part, initial_job_idx=number))
                    number += len(part)
        return done
