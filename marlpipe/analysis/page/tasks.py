"""Aggregates over all tasks with a reference: normalised scores of each arm that has all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from marlpipe.analysis.page.evidence import MOST_PAIRED, EnvEvidence, Names, improvements
from marlpipe.analysis.statistics.aggregates import Aggregate, Scores, iqm, mean, median, optimality_gap
from marlpipe.analysis.statistics.bootstrap import Band, Interval, interval
from marlpipe.analysis.statistics.profiles import performance_profile
from marlpipe.analysis.statistics.references import References, normalised

STATISTICS: tuple[Aggregate, ...] = (iqm, median, mean, optimality_gap)
THRESHOLDS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskEvidence:
    """Normalised scores: 0 is the return of random actions, 1 the highest possible return."""

    tasks: tuple[str, ...]
    scores: Mapping[str, Scores]  # by arm, by task; the best arm first
    statistics: Mapping[str, Mapping[str, Interval]]  # by arm, by the statistic's name; the best arm first
    thresholds: Float[np.ndarray, " G"]
    profiles: Mapping[str, Band]  # by arm
    improvement: Mapping[Names, Interval]
    messages: tuple[str, ...]  # the tasks and arms that are left out, with the reason


def over_tasks(envs: Sequence[EnvEvidence], references: References) -> TaskEvidence:
    """The arms that have finished runs in all tasks with a reference; empty without such a task."""
    scores: dict[str, Scores] = {}
    said: dict[str, None] = {}
    for name in dict.fromkeys(one.arm.name for env in envs for one in env.arms if not one.arm.partial):
        finals = {
            env.env: one.finals for env in envs for one in env.arms if one.arm.name == name and not one.arm.partial
        }
        result = normalised(finals, references)
        said |= dict.fromkeys(result.messages)
        scores[name] = result.scores
    tasks = tuple(env.env for env in envs if any(env.env in own for own in scores.values()))
    whole = {name: own for name, own in scores.items() if tasks and all(task in own for task in tasks)}
    if missing := [name for name, own in scores.items() if own and name not in whole]:
        said[f"Not in every task, and so left out: {', '.join(missing)}."] = None
    statistics = {
        name: {statistic.name: interval(own, statistic) for statistic in STATISTICS} for name, own in whole.items()
    }
    ordered = sorted(whole, key=lambda name: -statistics[name][iqm.name].point)
    return TaskEvidence(
        tasks=tasks,
        scores={name: whole[name] for name in ordered},
        statistics={name: statistics[name] for name in ordered},
        thresholds=THRESHOLDS,
        profiles={name: performance_profile(whole[name], THRESHOLDS) for name in ordered},
        improvement=improvements({name: whole[name] for name in ordered[:MOST_PAIRED]}),
        messages=tuple(said),
    )
