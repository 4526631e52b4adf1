"""The absolute metric of each run of a comparison, measured in the same way for all of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.run_config import read_config
from marlpipe.errors import UserError
from marlpipe.runs.absolute_metric import TIMES_AS_MANY, read_absolute


def absolute_metrics(runs: Sequence[Run], environment: str, said: list[str]) -> dict[Path, float]:
    """The mean return of each run's best policy, by the run's path.

    Where the best policy of any run was not evaluated after training, all runs get their highest evaluation instead,
    which is biased upwards.

    Args:
        environment: the name that messages begin with.
        said: messages are appended here.
    """
    measured = {run.folder.path: measured_again(run, said) for run in runs}
    missing = [path for path, returns in measured.items() if not returns]
    measure = "next: python -m marlpipe evaluate FOLDER"
    if missing:
        said.append(
            f"{environment}: absolute_metrics are the highest evaluations, too high by selection, for the best"
            f" policies of {len(missing)} of {len(runs)} runs were not evaluated after training.\n  {measure}"
        )
        return {run.folder.path: float(run.returns.max()) for run in runs}
    fewer = []
    for run in runs:
        try:
            if len(measured[run.folder.path]) < TIMES_AS_MANY * evaluation_episodes(run):
                fewer.append(run)
        except UserError as error:
            said.append(
                f"{environment}: whether absolute_metrics are of enough episodes is not known of one run: {error}"
            )
    if fewer:
        said.append(
            f"{environment}: absolute_metrics of {len(fewer)} of {len(runs)} runs are of fewer episodes than the"
            f" {TIMES_AS_MANY} times those of an evaluation that Gorsane et al. 2022 ask for.\n  {measure}"
        )
    return {path: sum(returns) / len(returns) for path, returns in measured.items()}


def measured_again(run: Run, said: list[str]) -> list[float]:
    """The episode returns of the current best policy, evaluated after training; empty if it was not.

    A broken file counts as not measured, and its message is appended to `said`.
    """
    try:
        measured = read_absolute(run.folder)
    except UserError as error:
        said.append(str(error))
        return []
    best = max(run.returns[np.isfinite(run.returns)], default=None)
    return measured.returns if measured and measured.best_return == best else []


def evaluation_episodes(run: Run) -> int:
    """Episodes per evaluation of the run; 0 where its config does not say. UserError for an unreadable config."""
    evaluation = read_config(run.folder).get("evaluation")
    episodes = evaluation.get("episodes") if isinstance(evaluation, dict) else None
    return episodes if type(episodes) is int else 0
