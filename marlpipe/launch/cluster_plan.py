"""How a grid becomes jobs and arrays, before anything is submitted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from marlpipe.errors import Bound, UserError, check_numbers, unknown

Item = TypeVar("Item")
BOUNDS = {
    "gpus": Bound(0),
    "cpus": Bound(1),
    "runs_per_job": Bound(1),
    "memory_gib": Bound(0.001, integer=False),
    "hours": Bound(1 / 60, integer=False),
}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a job asks for. Jobs that ask for the same share an array.

    gpus, hours: of a job. cpus, memory_gib: of each of its runs. runs_per_job: how many runs share a job.
    """

    gpus: Annotated[int, BOUNDS["gpus"]]
    cpus: Annotated[int, BOUNDS["cpus"]]
    memory_gib: Annotated[float | int, BOUNDS["memory_gib"]]
    hours: Annotated[float | int, BOUNDS["hours"]]
    runs_per_job: Annotated[int, BOUNDS["runs_per_job"]]

    def __post_init__(self) -> None:
        check_numbers("hydra.launcher", vars(self), BOUNDS)

    @property
    def minutes(self) -> int:
        """The time limit, in the whole minutes that Slurm counts in."""
        return max(1, round(60 * self.hours))

    def of_job(self, runs: int) -> tuple[int, float]:
        """Cores, and memory in GiB, of a job of so many runs."""
        return self.cpus * runs, self.memory_gib * runs


def needed(usual: Resources, own: Mapping[str, Any]) -> Resources:
    """The usual resources, but for those that the algorithm or the world has of its own; of two, the larger.

    own: of the chosen option of each group, by the names of `Resources`; None for an option that has none.
    """
    changes: dict[str, Any] = {}
    for group, given in own.items():
        if not isinstance(given, Mapping | None):
            raise UserError(f"hydra.launcher.{group}: {given} is no resource\n  valid: such as {{hours: 12}}")
        for name, value in (given or {}).items():
            if name not in Resources.__dataclass_fields__:
                raise unknown(f"hydra.launcher.{group}: the resource", str(name), Resources.__dataclass_fields__)
            replace(usual, **{name: value})  # checks the value before it is compared
            changes[name] = max(value, changes.get(name, value))
    return replace(usual, **changes)


def packed(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """In order, at most so many at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


@dataclass(frozen=True, kw_only=True)
class Array:
    """Jobs that are submitted together, each with the runs (by number) that it does."""

    resources: Resources
    jobs: Sequence[Sequence[int]]

    @property
    def runs(self) -> int:
        return sum(len(job) for job in self.jobs)

    @property
    def gpu_hours(self) -> float:
        """At most, without requeues."""
        return len(self.jobs) * self.resources.gpus * self.resources.hours

    @property
    def core_hours(self) -> float:
        """At most, without requeues."""
        return self.runs * self.resources.cpus * self.resources.hours


def arrays(needs: Sequence[Resources], largest: int) -> list[Array]:
    """Runs, by what each needs, packed into jobs and these into arrays of at most `largest` jobs.

    Jobs of an array have the same number of runs, since they ask for the same.
    """
    alike: dict[Resources, list[int]] = {}
    for number, need in enumerate(needs):
        alike.setdefault(need, []).append(number)
    planned = []
    for resources, numbers in alike.items():
        jobs = list(packed(numbers, resources.runs_per_job))
        full = [job for job in jobs if len(job) == resources.runs_per_job]
        planned += [Array(resources=resources, jobs=part) for part in packed(full, largest)]
        planned += [Array(resources=resources, jobs=[job]) for job in jobs if len(job) < resources.runs_per_job]
    return planned
