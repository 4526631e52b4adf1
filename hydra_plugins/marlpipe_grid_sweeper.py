"""Hydra's own sweeper, for grids that were checked before Hydra sees them."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


class GridSweeper(BasicSweeper):
    """Every combination of swept values. `marlpipe.grid` has composed and built all arms, so nothing is checked again.

    Args:
        max_batch_size: jobs handed to the launcher at a time. None: all of them.
        params: swept values by key, which the command line can replace.
    """

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """What became of the jobs, by batch. Hydra's own would compose each job once more, a sixth of a second each,
        and write a file multirun.yaml that the next grid replaces; each run has a config of its own.
        """
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        typed = parser.parse_overrides([*self._parse_config(), *arguments])
        number = 0
        done: list[Sequence[JobReturn]] = []
        for batch in self.split_arguments(typed, self.max_batch_size):
            done.append(self.launcher.launch(batch, initial_job_idx=number))
            number += len(batch)
            for job in done[-1]:
                _ = job.return_value  # raises what a job raised, with a launcher that tells
        return done
