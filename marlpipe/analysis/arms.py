"""The arms of a comparison: runs that differ in their seed only, under a name that distinguishes the arms."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from marlpipe.analysis.evaluated_runs import Run


@dataclass(frozen=True, kw_only=True)
class Arm:
    """All runs of one configuration in one environment."""

    env: str
    name: str
    runs: tuple[Run, ...]

    @property
    def partial(self) -> bool:
        """Whether no run has finished; its statistics then describe unfinished runs."""
        return not any(run.status.state == "finished" for run in self.runs)

    @property
    def counted(self) -> tuple[Run, ...]:
        """The runs that statistics use: the finished ones, or, while there is none, all with an evaluation."""
        evaluated = tuple(run for run in self.runs if len(run.returns))
        return evaluated if self.partial else tuple(run for run in evaluated if run.status.state == "finished")


def by_env(runs: Sequence[Run]) -> dict[str, list[Arm]]:
    """The arms of each environment; environments and arms in the order of their first run."""
    grouped: dict[str, dict[tuple[str, str], list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        grouped[run.identity.env][run.identity.label, run.identity.arm].append(run)
    return {
        env: [
            Arm(env=env, name=name, runs=tuple(arm))
            for name, arm in zip(_names(list(arms.values())), arms.values(), strict=True)
        ]
        for env, arms in grouped.items()
    }


def _names(arms: Sequence[Sequence[Run]]) -> list[str]:
    """The labels; arms that share one get the overrides that differ, or else the hash of their config."""
    alike: dict[str, list[Sequence[Run]]] = defaultdict(list)
    for arm in arms:
        alike[arm[0].identity.label].append(arm)
    names = []
    for arm in arms:
        identity = arm[0].identity
        shared = set.intersection(*(_overrides(other) for other in alike[identity.label]))
        own = [override for override in identity.overrides if override in _overrides(arm) - shared]
        names.append(" ".join([identity.label, *own]) if len(alike[identity.label]) > 1 else identity.label)
    return [
        name if names.count(name) == 1 else f"{name} ({arm[0].identity.arm})"
        for name, arm in zip(names, arms, strict=True)
    ]


def _overrides(arm: Sequence[Run]) -> set[str]:
    return {override for override in arm[0].identity.overrides if not override.startswith("seed=")}
