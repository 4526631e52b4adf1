"""Parameters that several verbs have. Each refuses a bad value with what is valid."""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from marlpipe.commands.command_line.completion import complete_folders, complete_overrides
from marlpipe.errors import Bound, UserError, unknown

EPISODES = Bound(1, 10**6)  # as conf/evaluation may have
RUNS = Path("multirun")  # where runs lie unless paths.runs says otherwise
Decorator = Callable[[Callable[..., int]], Callable[..., int]]


class Number(click.ParamType[int | float]):
    """A number within a bound."""

    name = "n"

    def __init__(self, bound: Bound) -> None:
        self.bound = bound

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:  # noqa: ARG002
        """UserError for text that is no number, and for a number out of bounds."""
        try:
            number = int(value) if self.bound.integer else float(value)
        except ValueError:
            number = None
        if number is None or not self.bound.holds(number):
            raise UserError(f"{_option(param)}={value} is not possible.\n  valid: {self.bound}")
        return number


class OneOf(click.Choice[str]):
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """UserError for any other word."""
        if value not in self.choices:
            raise unknown(f"{_option(param)}: the value", str(value), self.choices)
        return str(value)


class SeveralOf(OneOf):
    """Some of some words, with commas between them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A set of words. UserError for the first that is none of them."""
        return frozenset(super(SeveralOf, self).convert(word, param, ctx) for word in str(value).split(","))


def _option(param: click.Parameter | None) -> str:
    return param.opts[0] if param else "the value"


class Folder(click.Path):
    """The name of a folder, which need not be there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A Path. UserError for a file, and for the empty text, as of a variable that is not set."""
        named = f"{_option(param)}: " if param and param.param_type_name == "option" else ""
        if Path(value).is_file():
            raise UserError(f"{named}{value} is a file, and no folder.\n  valid: a folder")
        if value == "":
            raise UserError(
                f"{named}the name of a folder is empty; is a variable of the shell not set?\n"
                "  valid: a folder, of which . is the one that you are in"
            )
        return super().convert(value, param, ctx)


def folders() -> Decorator:
    """FOLDER…: runs, or folders above runs; `multirun` where none is given."""
    return click.argument(
        "folders",
        metavar="[FOLDER…]",
        nargs=-1,
        type=Folder(),
        callback=_folders,
        shell_complete=complete_folders,
    )


def _folders(context: click.Context, _: click.Parameter, given: Iterable[Path]) -> tuple[Path, ...]:
    paths = tuple(given) or (runs_here(context),)
    for path in paths:
        if not path.is_dir():
            raise UserError(
                f"there is no folder {path}\n  valid: the folder of a run, or one above it, such as {RUNS}/"
            )
    return paths


def runs_here(context: click.Context) -> Path:
    """`multirun`, for a command line that names no folder. UserError where it is not there."""
    if not context.resilient_parsing and not RUNS.is_dir():
        raise UserError(
            f"no folder was given, and there is no {RUNS}/ here.\n"
            f"  valid: the folder of a run, or one above it\n  next: marlpipe {context.info_name} FOLDER; see --help"
        )
    return RUNS


def out(default: str) -> Decorator:
    """--out FOLDER."""
    return click.option(
        "--out",
        metavar="FOLDER",
        type=Folder(),
        help=f"Where to write; if not given, {default}.",
    )


def overrides(config_name: str = "train") -> Decorator:
    """OVERRIDES…: key=value and group=option of a config, in Hydra's grammar, and --config-dir FOLDER.

    UserError for a word that would be ignored. The verb gets the overrides, with what --config-dir stands for.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        @click.argument(
            "overrides",
            metavar="[OVERRIDES…]",
            nargs=-1,
            type=click.UNPROCESSED,
            shell_complete=complete_overrides(config_name),
        )
        @click.option(
            "--config-dir",
            "-cd",
            "config_dirs",
            metavar="FOLDER",
            multiple=True,
            type=Folder(),
            help="A folder of options of your own, group/option.yaml, in addition to marlpipe's.",
        )
        @functools.wraps(function)
        def with_config_dirs(overrides: tuple[str, ...], config_dirs: tuple[Path, ...], **others: Any) -> int:
            from marlpipe.config.typed import check_typed, with_one_searchpath

            check_typed(overrides)
            typed = with_one_searchpath(overrides, config_dirs)
            check_typed(typed)
            return function(overrides=tuple(typed), **others)

        return with_config_dirs

    return decorate


def refused(reasons: Mapping[tuple[str, ...], str]) -> Decorator:
    """Options of Hydra that marlpipe does not follow, each with what to do instead."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        for names, instead in reasons.items():

            def refuse(context: click.Context, option: click.Parameter, given: Any, instead: str = instead) -> None:
                del context
                if given is not None:
                    raise UserError(
                        f"{option.opts[0]} is an option of Hydra that marlpipe does not follow.\n  next: {instead}"
                    )

            option = click.option(
                *names, hidden=True, expose_value=False, is_flag=False, flag_value="", is_eager=True, callback=refuse
            )
            function = option(function)
        return function

    return decorate


def device() -> Decorator:
    """--device DEVICE."""
    return click.option(
        "--device", metavar="DEVICE", default="cpu", show_default=True, help="Where to compute, as torch calls it."
    )
