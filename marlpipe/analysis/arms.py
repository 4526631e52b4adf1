"""The arms of a comparison: the runs that differ in nothing but their seed, under a name that tells them apart."""

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
        """Whether none of its runs has finished: what is counted is then only how far they are."""
        return not any(run.status.state == "finished" for run in self.runs)

    @property
    def counted(self) -> tuple[Run, ...]:
        """The runs that statistics are made of: the finished ones, or while there is none, all that were evaluated."""
        evaluated = tuple(run for run in self.runs if len(run.returns))
        return evaluated if self.partial else tuple(run for run in evaluated if run.status.state == "finished")


def by_env(runs: Sequence[Run]) -> dict[str, list[Arm]]:
    """The arms of each environment, both in the order in which their first run comes."""
    grouped: dict[str, dict[tuple[str, str], list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        who = run.identity
        grouped[who.env][who.label, who.arm].append(run)
    return {
        env: [
            Arm(env=env, name=name, runs=tuple(arm))
            for name, arm in zip(_names(list(arms.values())), arms.values(), strict=True)
        ]
        for env, arms in grouped.items()
    }


def _names(arms: Sequence[Sequence[Run]]) -> list[str]:
    """The labels; where several arms share one, with the overrides that differ, or else the hash of the config."""
    alike: dict[str, list[Sequence[Run]]] = defaultdict(list)
    for arm in arms:
        alike[arm[0].identity.label].append(arm)
    names = []
    for arm in arms:
        who = arm[0].identity
        shared = set.intersection(*(_overrides(other) for other in alike[who.label]))
        own = [override for override in who.overrides if override in _overrides(arm) - shared]
        names.append(" ".join([who.label, *own]) if len(alike[who.label]) > 1 else who.label)
    return [
        name if names.count(name) == 1 else f"{name} ({arm[0].identity.arm})"
        for name, arm in zip(names, arms, strict=True)
    ]


def _overrides(arm: Sequence[Run]) -> set[str]:
    return {override for override in arm[0].identity.overrides if not override.startswith("seed=")}
