"""What stands in the group `mixer` where an algorithm brings mixing of its own."""

from typing import Any, NoReturn

from marlpipe.errors import UserError


class OwnMixing:
    """`mixer=own`: UserError for an algorithm that has none."""

    def __call__(self, **parts: Any) -> NoReturn:
        del parts
        raise UserError(
            "mixer=own stands for the mixing that some algorithms bring themselves, and this one has none.\n"
            "  valid: mixer=sum, qmix, lomaq, lomaq_hyper, or an algo that comes with mixer=own"
        )


def check_own(mixer: object, algorithm: str) -> None:
    """UserError if another mixer is given to an algorithm that brings its own."""
    if not isinstance(mixer, OwnMixing):
        raise UserError(f"{algorithm} brings its own mixing, which no other mixer can stand for.\n  valid: mixer=own")
