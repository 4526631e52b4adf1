"""`marlpipe status`: how all runs stand."""

import json
from pathlib import Path

import click
from rich.text import Text

from marlpipe.commands.command_line.parameters import SeveralOf, folders
from marlpipe.commands.command_line.verb import verb
from marlpipe.commands.status.show import MOVING, document, view, watch
from marlpipe.errors import UserError
from marlpipe.runs.display import COLOURS
from marlpipe.runs.find import find_folders
from marlpipe.runs.standing import RunStanding, standings
from marlpipe.runs.terminal import console


@verb(stopped="The runs themselves go on.")
@folders()
@click.option("--watch", "again", is_flag=True, help="Look again and again, until all runs have ended or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for scripts.")
@click.option(
    "--state",
    "states",
    metavar="STATE,…",
    type=SeveralOf(COLOURS),
    default=",".join(COLOURS),
    help="Only runs in these states, such as failed,lost; the summary still counts all.",
)
def command(folders: tuple[Path, ...], again: bool, as_json: bool, states: frozenset[str]) -> int:
    """How each run in and below some folders stands.

    Its files, its lock and Slurm say so; nothing is changed. The runs go on after Ctrl-C.

    \b
      queued        waits: in Slurm, or for a process of its grid to end
      running       a process trains it
      finished
      failed        by an error, which is shown below the table
      interrupted   asked to stop, with a checkpoint
      lost          ended without a word: killed, or its machine went
                    down; or its job, or the process of its grid, ended
                    before it began
      refused       a file of it cannot be read, or leads out of its folder

    The table also shows the last evaluation's return, and how long ago the run gave a last sign of life. The command
    that started the runs, issued again, completes what is missing and leaves alone what is done. What failed would fail
    again by the same error: mend that first.

    \b
    Exit status, of all runs together:
      0   all are finished
      1   none is queued or running any more, and some are failed,
          interrupted, lost or refused
      2   there is no such folder or option
      3   some are queued or running
    """
    if again and as_json:
        raise UserError("--watch and --json exclude each other.\n  next: ask with --json again and again")
    shown = console()
    runs = watch(folders, states, shown) if again else standings(find_folders(folders))
    if as_json:
        print(json.dumps(document(runs, states), indent=2, allow_nan=False))
    else:
        for part in view(runs, states, shown.width):
            shown.print(part, soft_wrap=isinstance(part, Text))
    return exit_status(runs)


def exit_status(runs: list[RunStanding]) -> int:
    """As the help says."""
    states = {one.state for one in runs}
    return 3 if states & MOVING else int(states != {"finished"})
