"""The absolute metric (Gorsane et al. 2022): how good the best policy of a run is, measured again after training."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from marlpipe.analysis.normalised import config
from marlpipe.analysis.runs import Run

TIMES_AS_MANY = 10  # episodes as in an evaluation of the run; Gorsane et al. 2022


def absolute_metrics(runs: Sequence[Run], environment: str, said: list[str]) -> dict[Path, float]:
    """The mean return of each run's best policy, by the run's path, all measured in the same way.

    That is the mean of evaluation/episodes.csv, which `python -m marlpipe.evaluate` writes; where a run lacks it, all
    have their highest evaluation instead, which is biased upwards, and a message says how to do better.
    """
    replayed = {run.folder.path: replayed_returns(run) for run in runs}
    wanted = {run.folder.path: TIMES_AS_MANY * usual_episodes(run) for run in runs}
    missing = [path for path, returns in replayed.items() if not returns]
    fewer = [path for path, returns in replayed.items() if len(returns) < wanted[path]]
    if missing:
        said.append(
            f"{environment}: absolute_metrics are the highest evaluations, too high by selection, for the best"
            f" policies of {len(missing)} of {len(runs)} runs were not measured again.{_next(missing[0], wanted)}"
        )
        return {run.folder.path: float(run.returns.max()) for run in runs}
    if fewer:
        said.append(
            f"{environment}: absolute_metrics of {len(fewer)} of {len(runs)} runs are of fewer episodes than the"
            f" {TIMES_AS_MANY} times those of an evaluation that Gorsane et al. 2022 ask for.{_next(fewer[0], wanted)}"
        )
    return {path: sum(returns) / len(returns) for path, returns in replayed.items()}


def replayed_returns(run: Run) -> list[float]:
    """The return of each episode that the best policy played again; none where it did not, or the file is broken."""
    try:
        with (run.folder.path / "evaluation" / "episodes.csv").open(encoding="utf-8", newline="") as file:
            returns = [float(row["return"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    return returns if all(map(math.isfinite, returns)) else []


def usual_episodes(run: Run) -> int:
    """Of an evaluation of the run; 0 where its config does not say."""
    told = config(run).get("evaluation")
    episodes = told.get("episodes") if isinstance(told, dict) else None
    return episodes if type(episodes) is int else 0


def _next(path: Path, wanted: Mapping[Path, int]) -> str:
    episodes = f" episodes={wanted[path]}" if wanted[path] else ""
    return f"\n  next, for each such run: python -m marlpipe.evaluate run={path}{episodes}"
