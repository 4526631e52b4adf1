"""Errors that the user can mend, shown without a traceback, and the bounds of numbers that raise them."""

import difflib
import math
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints


class UserError(Exception):
    """A wrong input or a refusing disk. The message names it, what is valid, and the next step."""

    exit_status: ClassVar[int] = 2


class WorldError(UserError):
    """A world's own code failed, or returned what its spec excludes. The message names the world and the place."""

    exit_status = 1


class MisfitError(WorldError):
    """An answer of a world that is not as its spec declares it."""


class DivergenceError(UserError):
    """A loss, a gradient or a parameter that is NaN or infinite. The message names it, and when it came."""

    exit_status = 1


ALSO_CALLED = {  # words of Slurm and of other launchers, and ours
    "partition": "queue",
    "time": "hours",
    "timeout_min": "hours",
    "mem": "memory_gib",
    "mem_gb": "memory_gib",
    "cpus_per_task": "cpus",
    "gpus_per_node": "gpus",
    "gres": "gpus",
    "job_name": "name",
    "array_parallelism": "at_once",
    "n_jobs": "processes",
    "workers": "processes",
}


def unknown(what: str, given: str, valid: Iterable[str]) -> UserError:
    """The error for a name that is not one of the `valid` ones, with the closest of them."""
    choices = sorted(valid)
    other = ALSO_CALLED.get(given)
    close = [other] if other in choices else difflib.get_close_matches(given, choices, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"{what} '{given}' does not exist.{hint}\n  valid: {', '.join(choices) or '(none)'}")


class Interrupted(Exception):  # noqa: N818 a request, not an error
    """The run stopped between two gradient steps: on request, after a checkpoint, or because it lost its lock."""


@dataclass(frozen=True)
class Bound:
    """A finite number from `low` to `high`, both included unless `exclusive_low` leaves out the low one."""

    low: int | float
    high: int | float = math.inf
    integer: bool = True
    exclusive_low: bool = False
    or_null: bool = False

    def __str__(self) -> str:
        kind, null = "a whole number" if self.integer else "a number", ", or null" if self.or_null else ""
        if self.high == math.inf == -self.low:
            return kind + null
        if self.low == -math.inf:
            return f"{kind} of at most {self.high}{null}"
        if self.exclusive_low:
            return f"{kind} above {self.low}" + (f" and of at most {self.high}" if self.high < math.inf else "") + null
        if self.high == math.inf:
            return f"{kind} of at least {self.low:.7g}{null}"
        return f"{kind} from {self.low} to {self.high}{null}"

    def holds(self, value: Any) -> bool:
        """Whether the value is of the right kind and within the bounds."""
        if value is None:
            return self.or_null
        kinds = int if self.integer else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
            return False  # NaN is no smaller than any number
        return self.low <= value <= self.high and not (self.exclusive_low and value == self.low)

    @property
    def example(self) -> int | float:
        """A valid number, for messages."""
        return next(number for number in (1, self.low, self.high) if self.holds(number))


def refused(name: str, given: object, valid: object, example: object) -> UserError:
    """The error for a key of a world."""
    return UserError(f"{name} cannot be {given!r}.\n  valid: {valid}\n  next: set it, as in env.{name}={example}")


def check_number(path: str, value: object, bound: Bound) -> None:
    """UserError if a number is out of its bound. `path`: as it is typed, such as `profile.discount`."""
    if not bound.holds(value):
        raise UserError(f"{path}={value} is not possible.\n  valid: {bound}\n  next: {path}={bound.example}")


def check_numbers(path: str, values: Mapping[str, object], bounds: Mapping[str, Bound]) -> None:
    """UserError for the first of the keys below `path` whose value is out of its bound."""
    for key, bound in bounds.items():
        check_number(f"{path}.{key}", values[key], bound)


def bounds_of(function: Callable[..., Any]) -> dict[str, Bound]:
    """The bounds that a constructor declares: of a parameter `Annotated[int, Bound(1)]`, or that `| None`.

    Other unions are left out, since their other members need a check of their own.
    """
    found = {name: _bound(hint) for name, hint in get_type_hints(function, include_extras=True).items()}
    return {name: bound for name, bound in found.items() if bound is not None}


def _bound(hint: Any) -> Bound | None:
    if get_origin(hint) is Annotated:
        return next((note for note in hint.__metadata__ if isinstance(note, Bound)), None)
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        members = [member for member in get_args(hint) if member is not type(None)]
        bound = _bound(members[0]) if len(members) == 1 else None
        return bound and replace(bound, or_null=True)
    return None


Count = Annotated[int, Bound(1, 10**12)]
Width = Annotated[int, Bound(1, 8192)]  # units of a layer
Layers = Annotated[int, Bound(1, 64)]
Hops = Annotated[int, Bound(0, 1000)]
Few = Annotated[int, Bound(1, 1000)]  # what time or memory grows with
Share = Annotated[float, Bound(0, 1, integer=False)]
Factor = Annotated[float, Bound(0, integer=False)]
Positive = Annotated[float, Bound(0, integer=False, exclusive_low=True)]
