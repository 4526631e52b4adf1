"""Errors that the user can mend, shown without a traceback, and the bounds of numbers that raise them."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class UserError(Exception):
    """A wrong input or a refusing disk. The message names it, what is valid, and the next step."""


def unknown(what: str, given: str, valid: Iterable[str]) -> UserError:
    """The error for a name that is not one of the `valid` ones, with the closest of them."""
    choices = sorted(valid)
    close = difflib.get_close_matches(given, choices, n=1)
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
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            return False
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
