"""The runs as marl-eval's JSON (Gorsane et al. 2022, arXiv 2209.10485; github.com/instadeepai/marl-eval).

environment -> task -> algorithm -> seed_N -> step_K {step_count, elapsed_time, mean_episode_return} and
absolute_metrics. An environment is the world's class, such as cartpole; its tasks are options of env, such as
cartpole_15.

marl-eval requires that, within an environment, all tasks have the same algorithms, all algorithms the same number of
runs, all runs the same number of evaluations, and all evaluations the same metrics; names are in lower case and
without commas. Messages list what is dropped or aligned for that.

Runs record only the mean over the episodes of an evaluation (eval/return_mean), so each list has one number. The
absolute metric is the mean return of the best policy over more episodes, measured by `python -m marlpipe evaluate`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.absolute_metric import absolute_metrics
from marlpipe.analysis.statistics.curves import common_grid, on_grid
from marlpipe.analysis.statistics.references import settings
from marlpipe.errors import UserError

METRIC = "mean_episode_return"
ByName = Mapping[str, Mapping[int, Run]]  # the runs of a task, by algorithm and seed


class Export(NamedTuple):
    """The data that marl-eval reads, for json.dumps, and messages on what was dropped or aligned."""

    data: dict[str, Any]
    messages: tuple[str, ...]


class Curves(NamedTuple):
    """The evaluations of R runs of a task at K common env steps."""

    env_steps: Float[np.ndarray, " K"]
    returns: Float[np.ndarray, "R K"]
    elapsed_s: Float[np.ndarray, "R K"]


def marl_eval_export(arms: Mapping[str, Sequence[Arm]]) -> Export:
    """The finished runs of all arms.

    Args:
        arms: by task, as `arms.by_env` returns them.

    Raises:
        UserError: a run's records cannot be read.
    """
    said: list[str] = []
    environments: dict[str, dict[str, ByName]] = defaultdict(dict)
    for task, own in arms.items():
        if usable := _usable(task, own, said):
            environments[_environment(task, own, said)][task.lower()] = usable
    data = {name: _exported(name, tasks, said) for name, tasks in environments.items()}
    return Export({name: exported for name, exported in data.items() if exported}, tuple(said))


def _environment(task: str, arms: Sequence[Arm], said: list[str]) -> str:
    """The class of the world; the task's own name where the config cannot be read."""
    try:
        world = str(settings(arms[0].runs[0]).get("_target_", task))
    except UserError as error:
        said.append(f"{task}: exported as an environment of its own: {error}")
        world = task
    return world.rpartition(".")[2].lower()


def _usable(task: str, arms: Sequence[Arm], said: list[str]) -> ByName:
    """The runs that can be exported, by the algorithm's name in marl-eval's spelling, and by seed."""
    named: dict[str, dict[int, Run]] = {}
    for arm in arms:
        if arm.partial:
            said.append(f"{task}, {arm.name}: left out, no run of it has finished.")
            continue
        name = arm.name.lower().replace(",", ";")
        if name in named:
            name += f" ({arm.runs[0].identity.arm})"
        runs = named.setdefault(name, {})
        for run in arm.counted:
            seed = run.identity.seed
            if not np.isfinite(run.returns).all():
                said.append(f"{task}, {arm.name}, seed {seed}: left out, an evaluation is not a number.")
            elif seed in runs:
                said.append(f"{task}, {arm.name}, seed {seed}: a second run of this seed, left out: {run.folder.path}")
            else:
                runs[seed] = run
    return {name: runs for name, runs in named.items() if runs}


def _exported(environment: str, tasks: Mapping[str, ByName], said: list[str]) -> dict[str, Any]:
    """One environment; empty where its tasks and algorithms have no runs in common."""
    names, seeds = _common(environment, tasks, said)
    if not names or not seeds:
        said.append(f"{environment}: left out, its algorithms and tasks have no seed in common.")
        return {}
    runs = {task: [algorithms[name][seed] for name in names for seed in seeds] for task, algorithms in tasks.items()}
    curves = {task: _aligned(task, own, said) for task, own in runs.items()}
    fewest = min(len(curve.env_steps) for curve in curves.values())
    if fewest == 0:
        said.append(f"{environment}: left out, its runs have no env steps in common.")
        return {}
    timed = all(np.isfinite(curve.elapsed_s).all() for curve in curves.values())
    if not timed:
        said.append(f"{environment}: without elapsed_time, which not all runs have recorded.")
    absolute = absolute_metrics([run for own in runs.values() for run in own], environment, said)
    exported: dict[str, Any] = {}
    for task, curve in curves.items():
        kept = np.linspace(0, len(curve.env_steps) - 1, fewest).round().astype(np.int64)
        if len(kept) < len(curve.env_steps):
            said.append(f"{task}: {fewest} of {len(curve.env_steps)} evaluations, the number that every task has.")
        thinned = Curves(curve.env_steps[kept], curve.returns[:, kept], curve.elapsed_s[:, kept])
        steps = iter(_steps(thinned, [absolute[run.folder.path] for run in runs[task]], timed=timed))
        exported[task] = {name: {f"seed_{seed}": next(steps) for seed in seeds} for name in names}
    return exported


def _common(environment: str, tasks: Mapping[str, ByName], said: list[str]) -> tuple[list[str], list[int]]:
    """The algorithms that all tasks have, and the seeds that all of these have in all tasks."""
    names = sorted(set[str]().union(*tasks.values()).intersection(*tasks.values()))
    seeds = [set(algorithms[name]) for algorithms in tasks.values() for name in names]
    shared = sorted(set[int]().union(*seeds).intersection(*seeds))
    for task, algorithms in tasks.items():
        for name, runs in algorithms.items():
            dropped = ", ".join(str(seed) for seed in runs if seed not in shared)
            if name not in names:
                said.append(f"{task}, {name}: left out, not in every task of {environment}.")
            elif dropped:
                said.append(f"{task}, {name}: without seed {dropped}, which not every algorithm and task has.")
    return names, shared


def _steps(curves: Curves, absolute: Sequence[float], *, timed: bool) -> Iterable[dict[str, Any]]:
    """Each run's evaluations, and its absolute metric with the same metrics."""
    for returns, elapsed_s, reached in zip(curves.returns, curves.elapsed_s, absolute, strict=True):
        run: dict[str, Any] = {}
        for number, (step, value, seconds) in enumerate(zip(curves.env_steps, returns, elapsed_s, strict=True)):
            time = {"elapsed_time": float(seconds)} if timed else {}
            run[f"step_{number}"] = {"step_count": round(step), **time, METRIC: [float(value)]}
        time = {"elapsed_time": float(elapsed_s[-1])} if timed else {}
        yield {**run, "absolute_metrics": {**time, METRIC: [reached]}}


def _aligned(task: str, runs: Sequence[Run], said: list[str]) -> Curves:
    """The evaluations unchanged if all runs have the same env steps; else interpolated to those of the shortest run."""
    first = runs[0].env_steps
    if all(np.array_equal(run.env_steps, first) for run in runs):
        return Curves(
            first.astype(np.float64), np.array([run.returns for run in runs]), np.array([run.wall_s for run in runs])
        )
    covered = common_grid([(run.env_steps, run.returns) for run in runs])
    shortest = min((run.env_steps for run in runs), key=len)
    grid = shortest[np.isin(shortest, covered)]
    said.append(
        f"{task}: evaluated at different env steps; interpolated to {len(grid)} of the run with the fewest"
        f" evaluations, within the range of all runs."
    )
    returns = on_grid([(run.env_steps, run.returns) for run in runs], grid)
    elapsed_s = on_grid([(run.env_steps, run.wall_s) for run in runs], grid)
    return Curves(grid.astype(np.float64), returns, elapsed_s)
