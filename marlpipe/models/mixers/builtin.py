"""The choice of the group `mixer` for algorithms with a built-in mixer."""

from typing import NoReturn

from marlpipe.errors import UserError


class BuiltInMixer:
    """`mixer=builtin`: UserError where an algorithm without a built-in mixer makes one of it."""

    def __call__(self, **parts: object) -> NoReturn:
        del parts
        raise UserError(
            "mixer=builtin is for algorithms with a built-in mixer, and this one has none.\n"
            "  valid: mixer=sum, qmix, lomaq, lomaq_hyper, lomaq_gcn, or an algo whose preset has mixer=builtin"
        )
