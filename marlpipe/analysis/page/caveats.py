"""Caveats of a comparison, as sentences: few seeds, unequal budgets, broken evaluations, different code."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.page.evidence import ArmEvidence, EnvEvidence
from marlpipe.analysis.page.found_runs import FoundRun, Records
from marlpipe.analysis.statistics.curves import FEW_SEEDS
from marlpipe.runs.display import URGENCY

MOST_NAMED = 8  # seeds, runs or arms in one sentence


def caveats(env: EnvEvidence, records: Records) -> list[str]:
    """All that is unequal, missing or invalid among the arms of one environment.

    Args:
        records: the content of each run's run.json, by its folder.
    """
    arms = [one.arm for one in env.arms]
    return [
        *_few(env.arms),
        *_without(arms),
        *_partial(arms),
        *_seeds(arms),
        *_budgets(arms),
        *_counts(arms),
        *_broken(env.arms),
        *_code(arms, records),
    ]


def not_finished(found: Sequence[FoundRun]) -> list[FoundRun]:
    """The runs that have not finished, the most urgent first."""
    return sorted((one for one in found if one.state != "finished"), key=lambda one: URGENCY.index(one.state))


def _few(arms: Sequence[ArmEvidence]) -> Iterator[str]:
    few = [f"{one.arm.name} ({len(one.finals)})" for one in arms if one.few and len(one.finals)]
    if few:
        yield (
            f"Fewer than {FEW_SEEDS} seeds: {_listed(few)}. Their runs are shown one by one instead of a band, and "
            "their intervals are only indicative: a bootstrap resamples the observed runs only."
        )


def _without(arms: Sequence[Arm]) -> Iterator[str]:
    if empty := [arm.name for arm in arms if not arm.counted]:
        yield f"Without any evaluation, and therefore left out of all statistics: {_listed(empty)}."


def _partial(arms: Sequence[Arm]) -> Iterator[str]:
    if partial := [arm.name for arm in arms if arm.partial and arm.counted]:
        yield (
            f"Without a finished run: {_listed(partial)}. Their statistics are of unfinished runs, and they are "
            "compared with no other arm."
        )


def _seeds(arms: Sequence[Arm]) -> Iterator[str]:
    """Unequal sets of seeds, and seeds that occur twice."""
    seeds = {arm.name: frozenset(run.identity.seed for run in arm.counted) for arm in arms if arm.counted}
    every = frozenset[int]().union(*seeds.values())
    missing = {name: every - own for name, own in seeds.items() if every - own}
    if missing:
        lists = [f"{name} lacks {_listed(map(str, sorted(lacking)))}" for name, lacking in missing.items()]
        yield f"Unequal sets of seeds ({len(every)} in all): {_listed(lists, '; ')}."
    for arm in arms:
        own = [run.identity.seed for run in arm.runs]
        if twice := sorted({seed for seed in own if own.count(seed) > 1}):
            seeds_twice = _listed(map(str, twice))
            yield f"{arm.name} has more than one run of the seeds {seeds_twice}: each counts as a run of its own."


def _budgets(arms: Sequence[Arm]) -> Iterator[str]:
    """Unequal budgets of env steps, and arms whose runs end at different env steps."""
    budgets: dict[int, list[str]] = defaultdict(list)
    for arm in arms:
        for total in {run.status.total_env_steps for run in arm.counted if run.status.total_env_steps is not None}:
            budgets[total].append(arm.name)
    if len(budgets) > 1:
        lists = [f"{total:,} ({_listed(names)})" for total, names in sorted(budgets.items())]
        yield f"Unequal budgets, in env steps: {_listed(lists, '; ')}."
    for arm in arms:
        ends = [int(run.env_steps[-1]) for run in arm.counted]
        if ends and min(ends) < 0.95 * max(ends):
            yield (
                f"{arm.name}: its runs end between {min(ends):,} and {max(ends):,} env steps; its mean curve and band "
                "end with the shortest."
            )


def _counts(arms: Sequence[Arm]) -> Iterator[str]:
    """Unequal numbers of evaluations per run."""
    counts = sorted({len(run.returns) for arm in arms for run in arm.counted})
    if len(counts) > 1:
        yield (
            f"Runs have between {counts[0]} and {counts[-1]} evaluations; curves are interpolated between them, and a "
            "final return is the mean of the last tenth of each run's evaluations."
        )


def _broken(arms: Sequence[ArmEvidence]) -> Iterator[str]:
    """Evaluations that are not finite, and the runs that were left out because of them."""
    for one in arms:
        broken = [run for run in one.arm.runs if np.isnan(run.returns).any()]
        if not broken:
            continue
        dropped = []
        if one.final.left_out:
            dropped.append(f"{one.final.left_out} from the final return")
        if one.area.left_out:
            dropped.append(f"{one.area.left_out} from the area")
        if one.band.left_out:
            dropped.append(f"{one.band.left_out} from the mean curve")
        yield (
            f"{one.arm.name}: evaluations that are not finite numbers (NaN), in {_listed(map(_nans, broken))}. "
            + (f"Such runs were left out: {', '.join(dropped)}." if dropped else "No statistic depends on them.")
        )


def _nans(run: Run) -> str:
    return f"seed {run.identity.seed} ({int(np.isnan(run.returns).sum())} of {len(run.returns)})"


def _code(arms: Sequence[Arm], records: Records) -> Iterator[str]:
    """Runs of different commits or uncommitted changes, as far as they are recorded."""
    commits: dict[str, set[str]] = defaultdict(set)
    for arm in arms:
        for run in arm.runs:
            git = records[run.folder.path].get("git") or {}
            if isinstance(commit := git.get("commit"), str):
                diff = git.get("diff")
                commits[f"{commit[:10]}{f' with changes {diff[:8]}' if isinstance(diff, str) else ''}"].add(arm.name)
    if len(commits) > 1:
        lists = [f"{commit} ({_listed(sorted(names))})" for commit, names in commits.items()]
        yield f"Runs of different code: {_listed(lists, '; ')}."


def _listed(names: Iterable[str], between: str = ", ") -> str:
    listed = list(names)
    more = len(listed) - MOST_NAMED
    return between.join(listed[:MOST_NAMED]) + (f"{between}and {more} more" if more > 0 else "")
