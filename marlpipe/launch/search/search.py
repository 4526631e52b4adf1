"""One search: its definition, its trials, and the lines that it prints."""

import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig
from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from marlpipe.config.check import check_run
from marlpipe.config.compose import compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import defining_config, run_path
from marlpipe.config.search_space import divide
from marlpipe.config.typed import parse_overrides
from marlpipe.errors import Bound, UserError, check_number
from marlpipe.launch.search.objectives import LastReturns, MinutesTo, Objective
from marlpipe.launch.search.outcome import Outcome, outcome
from marlpipe.launch.search.proposals import Sampler, distribution, propose
from marlpipe.launch.search.report import Kept, best_of, report
from marlpipe.launch.search.storage import Storage
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.runs.path import RunPath

AT_LEAST_ONE, SEED, RETURN = Bound(1), Bound(0), Bound(-math.inf, integer=False)


class Searching:
    """Proposes trials, each a few values that all its runs share, one run per seed, and keeps their results.

    Args:
        name: of the folder of its records; None: after the algorithm and the world.
        folder: where that lies.
        n_trials: in all, those of earlier sessions counted.
        trials_at_once: that are proposed together.
        last: evaluations of each run that count.
        threshold: a return; given, a trial is better the sooner its runs reach it.
        sampler: of Optuna, but for its seed.
        sampler_seed: from which each trial's is made.

    Raises:
        UserError: a number is out of its bounds.
    """

    def __init__(
        self,
        *,
        name: str | None,
        folder: str,
        n_trials: Annotated[int, AT_LEAST_ONE],
        trials_at_once: Annotated[int, AT_LEAST_ONE],
        last: Annotated[int, AT_LEAST_ONE],
        threshold: Annotated[float, RETURN] | None = None,
        sampler: Sampler,
        sampler_seed: Annotated[int, SEED],
    ) -> None:
        for key, given, bound in (
            ("n_trials", n_trials, AT_LEAST_ONE),
            ("trials_at_once", trials_at_once, AT_LEAST_ONE),
            ("last", last, AT_LEAST_ONE),
            ("sampler_seed", sampler_seed, SEED),
            *([] if threshold is None else [("threshold", threshold, RETURN)]),
        ):
            check_number(f"hydra.sweeper.{key}", given, bound)
        self._objective: Objective = LastReturns(last) if threshold is None else MinutesTo(threshold)
        self._name, self._folder, self._last = name, Path(folder), last
        self._n_trials, self._at_once = n_trials, trials_at_once
        self._sampler, self._sampler_seed = sampler, sampler_seed

    def batches(self, overrides: Sequence[str]) -> Generator[list[list[str]], None, None]:
        """The runs of the trials that are still to be made, some trials at a time, and a report at the end.

        Raises:
            UserError: this is another search than the one in the folder, another process makes it, a run was
                interrupted, or every trial has failed.
        """
        self._asked = divide(parse_overrides(overrides))
        base = compose_run([*self._asked.search, *self._asked.fixed], config_folder())
        evaluations = base.env_steps // base.evaluation.every_env_steps + 2  # at most, with the first and the final one
        if evaluations < self._last:
            raise UserError(
                f"hydra.sweeper.last={self._last} evaluations are to count, and a run has at most {evaluations}\n"
                "  next: a smaller hydra.sweeper.last or evaluation.every_env_steps, or more env_steps"
            )
        choices = base.hydra.runtime.choices
        name = self._name or f"{choices.algo}-{choices.env}"
        folder = self._folder / name
        with os_errors_as_user_errors("make the folder", folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder / "lock"):
            storage = Storage(folder / "trials.journal", name, self._identity(base))
            self._print_start(storage)
            while (done := len(storage.trials)) < self._n_trials:
                first = done // self._at_once * self._at_once  # the batch that `done` is in is proposed as it was
                study, trials = propose(
                    storage.trials[:first],
                    {key: distribution(override) for key, override in self._asked.space.items()},
                    count=min(self._at_once, self._n_trials - first),
                    sampler=self._sampler,
                    seed=self._sampler_seed,
                )
                yield from self._trained(storage, study, trials[done - first :])
            kept = [self._kept(trial) for trial in storage.trials]
            report(folder, kept, self._asked.seeds, self._objective.name)

    def _trained(
        self, storage: Storage, study: Study, trials: Sequence[Trial]
    ) -> Generator[list[list[str]], None, None]:
        """Hands out the runs of a batch, and keeps its trials when they are over."""
        folders: dict[int, list[RunFolder]] = {}
        refused: dict[int, Outcome] = {}
        runs: list[list[str]] = []
        for trial in trials:
            print(f"trial {trial.number + 1} of {self._n_trials}: {' '.join(self._chosen(trial.params))}", flush=True)
            try:
                first = self._path_of(trial)
            except UserError as error:
                refused[trial.number] = Outcome(reason=str(error).splitlines()[0])
                continue
            trial.set_user_attr("run", str(first.folder.parent))
            folders[trial.number] = [RunFolder(first.sibling(seed).folder) for seed in self._asked.seeds]
            if any(folder.status.state != "finished" for folder in folders[trial.number]):
                runs += [[*self._typed(trial.params), f"seed={seed}"] for seed in self._asked.seeds]
        if runs:
            yield runs
        for trial in trials:
            result = refused.get(trial.number) or outcome(folders[trial.number], self._objective)
            storage.add(over(study, trial, result))
            self._print_trial(storage, result)

    def _identity(self, base: DictConfig) -> dict[str, Any]:
        space = {key: override.get_value_string() for key, override in self._asked.space.items()}
        identity = {"space": space, "seed": self._asked.seeds, "last": self._last, "fixed": defining_config(base)}
        if isinstance(self._objective, MinutesTo):
            identity["threshold"] = self._objective.threshold
        return identity

    def _path_of(self, trial: Trial) -> RunPath:
        """That of the trial's first run. UserError if its values do not go together."""
        config = compose_run([*self._typed(trial.params), f"seed={self._asked.seeds[0]}"], config_folder())
        check_run(config)
        return run_path(config)

    def _typed(self, params: dict[str, Any]) -> list[str]:
        return [*self._asked.search, *self._asked.fixed, *self._chosen(params)]

    def _chosen(self, params: dict[str, Any]) -> list[str]:
        return [f"{key}={params[key]}" for key in self._asked.space]

    def _kept(self, trial: FrozenTrial) -> Kept:
        return Kept(trial=trial, overrides=[*self._asked.fixed, *self._chosen(trial.params)])

    def _print_start(self, storage: Storage) -> None:
        done, seeds = len(storage.trials), len(self._asked.seeds)
        print(f"{self._n_trials} trials of {seeds} seeds, {done} made already; {storage.path}", flush=True)

    def _print_trial(self, storage: Storage, result: Outcome) -> None:
        number, best = len(storage.trials), best_of(storage.trials)
        what = f"failed: {result.reason}" if result.value is None else f"{result.value:.4g}"
        known = f"; best so far: {best.value:.4g}, trial {best.number + 1}" if best else ""
        print(f"trial {number} of {self._n_trials}: {what}{known}", flush=True)


def over(study: Study, trial: Trial, result: Outcome) -> FrozenTrial:
    """A trial with its result. One that failed counts as pruned, which samplers take to be worse than others."""
    for name, value in (("seeds", dict(result.by_seed)), ("reason", result.reason)):
        trial.set_user_attr(name, value)
    if result.value is None:
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, result.value)
