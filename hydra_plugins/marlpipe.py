"""The part of marlpipe that Hydra finds by itself.

Hydra imports every module of `hydra_plugins` in every Hydra application of the environment, so this one imports Hydra
only: what launches and searches is loaded by name, once a config asks for it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Every combination of swept values. `marlpipe.config.plan` has checked all arms, so nothing is checked again.

    Args:
        max_batch_size: jobs handed to the launcher at a time. None: all of them.
        params: swept values by key, which the command line can replace.
    """

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launches all jobs. Returns their results by batch.

        Hydra's own would compose each job once more, a sixth of a second each, and write a file multirun.yaml that the
        next grid replaces; each run has a config of its own.
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
                _ = job.return_value  # raises what a job raised, with a launcher that reports it
        return done


class SearchSweeper(GridSweeper):
    """Launches what a search proposes, and proposes anew from the results, which it reads in the run folders.

    Args:
        search: makes an object whose `batches(overrides)` yields the overrides of the runs to launch next. They are
            over, or queued, when it is asked for the next batch.
        max_batch_size, params: as `GridSweeper` takes them.
        settings: of the search.
    """

    def __init__(self, *, search: Callable[..., Any], max_batch_size: int | None, params: Any, **settings: Any):
        super().__init__(max_batch_size, params)
        self._search = search(**settings)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launches batch after batch. Returns the jobs' results by launch."""
        assert self.launcher is not None
        number = 0
        done: list[Sequence[JobReturn]] = []
        batches: Iterator[list[list[str]]]
        with closing(self._search.batches([*self._parse_config(), *arguments])) as batches:
            for batch in batches:
                for part in self.split_overrides_to_chunks(batch, self.max_batch_size):
                    done.append(self.launcher.launch(part, initial_job_idx=number))
                    number += len(part)
        return done


class MarlpipeLauncher(Launcher):
    """Passes all calls to a launcher of marlpipe.

    Args:
        launcher: makes it from the settings.
        settings: of the launcher.
    """

    def __init__(self, *, launcher: Callable[..., Launcher], **settings: Any) -> None:
        self._launcher = launcher(**settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hands over what Hydra knows before the launch."""
        self._launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs, or submits, a job per list of overrides."""
        return self._launcher.launch(job_overrides, initial_job_idx)
