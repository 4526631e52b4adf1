"""Finds the verb of a command line and runs it: each file or folder of marlpipe/commands/ is one."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import marlpipe
from marlpipe.commands.command_line.overview import write_overview
from marlpipe.commands.command_line.parameters import OneOf, overrides, refused
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import UserError, unknown

FOLDER = Path(__file__).parent.parent
PARTS = ("job", "hydra", "all")  # of a config
ABOUT = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def verbs() -> list[str]:
    """All verbs, in alphabetical order."""
    found = {entry.stem for entry in FOLDER.iterdir() if not entry.stem.startswith(("_", "."))}
    return sorted(found - {"command_line", "train"})


def trains(words: Sequence[str]) -> bool:
    """Whether a command line has no verb: Hydra's words hold an equals sign, or begin with one of - + ~."""
    return not words or "=" in words[0] or words[0].startswith(("-", "+", "~"))


class Verbs(click.Group):
    """The command line as a whole. A verb is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return verbs()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name == "train":
            return train
        if cmd_name not in verbs():
            return None
        name = f"marlpipe.commands.{cmd_name}"
        module = importlib.import_module(f"{name}.command" if (FOLDER / cmd_name).is_dir() else name)
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """UserError for a first word that is neither a verb nor an override."""
        if args and args[0] in ("-h", "--help", "--version"):
            return super().parse_args(ctx, args)
        if trains(args):
            asked_by_a_shell = ctx.resilient_parsing and not args  # for the first word
            return super().parse_args(ctx, args if asked_by_a_shell else ["train", *args])
        if args[0] not in verbs():
            error = unknown("the verb", args[0], verbs())
            raise UserError(f"{error}\n  next: training has no verb, as in marlpipe algo=qmix env=cartpole")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = {name: self.get_command(ctx, name) for name in verbs()}
        write_overview(formatter, {name: one.get_short_help_str(200) for name, one in commands.items() if one})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """A verb, or the first override of a training."""
        override = next(one for one in train.params if one.name == "overrides")
        return [*super().shell_complete(ctx, incomplete), *override.shell_complete(ctx, incomplete)]


@click.group(cls=Verbs, context_settings=SETTINGS)
@click.version_option(marlpipe.__version__, message="marlpipe %(version)s")
def command_line() -> None:
    """marlpipe"""


@verb(stopped="The same command goes on where it left off.", add_help_option=False)
@overrides()
@click.option("--multirun", "-m", "sweep", is_flag=True, help="A grid: every combination of the values A,B,C of a key.")
@click.option(
    "--cfg", "-c", "shown", metavar="PART", type=OneOf(PARTS), help="Print the config, job, hydra or all of it."
)
@click.option("--package", "-p", metavar="KEY", help="With --cfg: only what is below a key.")
@click.option("--resolve", is_flag=True, help="With --cfg: with the values that ${…} stands for.")
@click.option(
    "--info",
    "-i",
    "asked",
    metavar="WHAT",
    type=OneOf(ABOUT),
    is_flag=False,
    flag_value="all",
    help=f"What the config is made of: {', '.join(ABOUT)}.",
)
@click.option("--help", "-h", "wants_help", is_flag=True, help="This text.")
@refused(
    {
        ("--run", "-r"): "without -m it is one run anyway",
        ("--config-name", "-cn"): "there is one root config, train; --config-dir FOLDER adds options of your own",
        ("--config-path", "-cp"): "--config-dir FOLDER adds options of your own to marlpipe's",
        ("--shell-completion", "-sc"): "marlpipe --help has a line for each shell",
        ("--hydra-help",): "marlpipe --help has what marlpipe follows of Hydra's options",
        ("--experimental-rerun",): "the same command resumes a run, and marlpipe reproduce FOLDER repeats it",
    }
)
def train(
    overrides: tuple[str, ...],
    sweep: bool,
    shown: str | None,
    package: str | None,
    resolve: bool,
    asked: str | None,
    wants_help: bool,
) -> int:
    """Trains one run, or with -m a grid."""
    if wants_help:
        click.echo(command_line.get_help(click.get_current_context().find_root()))
        return 0
    if asked and (shown or sweep):
        raise UserError(f"--info and {'--cfg' if shown else '-m'} exclude each other.\n  next: leave one of them out")
    if shown is None and (package is not None or resolve):
        raise UserError(
            f"{'--resolve' if package is None else '--package'} is of --cfg.\n  next: put --cfg job before it"
        )
    if shown or asked:
        from marlpipe.commands.command_line.show_config import show_config, show_info

        return show_info(overrides, asked) if asked else show_config(overrides, str(shown), package, resolve, sweep)
    from marlpipe.commands.train import run

    return run(overrides, sweep=sweep)


def run(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit status. UserError for what cannot be parsed."""
    try:
        with command_line.make_context("marlpipe", list(arguments)) as context:
            status: int = command_line.invoke(context)
            return status
    except click.exceptions.Exit as end:  # after --help
        return end.exit_code
