"""A verb: a command of click that ends with our errors, and with a sentence of its own after Ctrl-C."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from marlpipe.errors import UserError, unknown

IMPLICIT_VERB = "train"  # the verb that is not typed
Sections = Callable[[], Mapping[str, str]]


class Verb(click.Command):
    """A verb.

    Args:
        stopped: a sentence for the user who pressed Ctrl-C.
        sections: texts by heading, for the end of the help.
    """

    def __init__(self, *arguments: Any, stopped: str = "", sections: Sections | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.stopped, self.sections = stopped, sections or dict

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """UserError for options and arguments that the verb does not take."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise bad_usage(error, ctx) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for heading, text in self.sections().items():
            with formatter.section(heading):
                formatter.write("".join(f"  {line}\n" if line else "" for line in text.splitlines()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self.stopped) from None


def verb(
    *, stopped: str = "", sections: Sections | None = None, **settings: Any
) -> Callable[[Callable[..., int]], Verb]:
    """Makes a verb of a function that returns the exit status; its docstring is the help."""
    return click.command(cls=Verb, stopped=stopped, sections=sections, **settings)


def bad_usage(error: click.UsageError, context: click.Context) -> UserError:
    """What click says, in our form."""
    shown = [one for one in context.command.get_params(context) if not getattr(one, "hidden", False)]
    options = [name for parameter in shown for name in parameter.opts if name[:2] == "--"]
    if isinstance(error, click.NoSuchOption):
        return unknown("the option", error.option_name, options)
    reason = error.format_message().rstrip(".")
    typed = context.command_path.removesuffix(f" {IMPLICIT_VERB}")
    usage = " ".join([typed, *context.command.collect_usage_pieces(context)])
    return UserError(f"{reason[:1].lower()}{reason[1:]}.\n  valid: {usage}\n  next: see {typed} --help")
