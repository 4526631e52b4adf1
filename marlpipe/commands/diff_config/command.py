"""`marlpipe diff_config`: what differs between two configs."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from marlpipe.commands.command_line.completion import complete_folders, complete_overrides
from marlpipe.commands.command_line.verb import verb


def complete_side(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem[Any]]:
    """A folder, or an override."""
    return [
        *complete_folders(context, parameter, typed),
        *complete_overrides("train")(context, parameter, typed),
    ]


@verb()
@click.argument("a", shell_complete=complete_side)
@click.argument("b", shell_complete=complete_side)
def command(a: str, b: str) -> int:
    """What differs, key by key, between the configs A and B.

    Each of A and B is one of

    \b
      FOLDER            of a run: multirun/ENV/ALGO-HASH/seed=SEED
      group=option      such as algo=qpro, profile=lomaq,
                        +experiment=qpro/fig1_predator_prey
      "key=value …"     in quotes, all overrides of one run; "" for the defaults

    Of two runs, it also compares commit, packages and machine.

    \b
    Exit status: 0 whether or not they differ, and 2 if A or B cannot be read.
    """
    from marlpipe.commands.diff_config.print_differences import print_differences

    return print_differences(a, b)
