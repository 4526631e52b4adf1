"""The absolute metrics of runs that are to be compared, all measured in the same way."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.references import config
from marlpipe.runs.absolute_metric import TIMES_AS_MANY, read_absolute


def absolute_metrics(runs: Sequence[Run], environment: str, said: list[str]) -> dict[Path, float]:
    """The mean return of each run's best policy, by the run's path.

    Where the policy of a run was not measured again, all runs have their highest evaluation instead, which is biased
    upwards, and a message says how to do better.
    """
    measured = {run.folder.path: measured_again(run) for run in runs}
    missing = [path for path, returns in measured.items() if not returns]
    fewer = [run for run in runs if len(measured[run.folder.path]) < TIMES_AS_MANY * usual_episodes(run)]
    measure = "next: python -m marlpipe evaluate runs=FOLDER"
    if missing:
        said.append(
            f"{environment}: absolute_metrics are the highest evaluations, too high by selection, for the best"
            f" policies of {len(missing)} of {len(runs)} runs were not measured again.\n  {measure}"
        )
        return {run.folder.path: float(run.returns.max()) for run in runs}
    if fewer:
        said.append(
            f"{environment}: absolute_metrics of {len(fewer)} of {len(runs)} runs are of fewer episodes than the"
            f" {TIMES_AS_MANY} times those of an evaluation that Gorsane et al. 2022 ask for.\n  {measure}"
        )
    return {path: sum(returns) / len(returns) for path, returns in measured.items()}


def measured_again(run: Run) -> list[float]:
    """The return of each episode that the run's best policy, as it is now, played; none where it did not."""
    told = read_absolute(run.folder)
    best = max(run.returns[np.isfinite(run.returns)], default=None)
    return told.returns if told and told.best_return == best else []


def usual_episodes(run: Run) -> int:
    """Of an evaluation of the run; 0 where its config does not say."""
    told = config(run).get("evaluation")
    episodes = told.get("episodes") if isinstance(told, dict) else None
    return episodes if type(episodes) is int else 0
