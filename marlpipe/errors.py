"""What a person can mend: raised with the bad input, the valid choices and the next step, shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A wrong input. The message is shown as it is, and the process exits with a non-zero status."""


def unknown(what: str, given: str, valid: Iterable[str]) -> UserError:
    """The error for a name that is not one of the `valid` ones, with the closest of them."""
    choices = sorted(valid)
    close = difflib.get_close_matches(given, choices, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"{what} '{given}' does not exist.{hint}\n  valid: {', '.join(choices) or '(none)'}")


class Interrupted(Exception):  # noqa: N818 not an error: somebody asked for it
    """The run was asked to stop, and did so between two gradient steps, with a checkpoint behind it."""
