"""`marlpipe sync`: sends to W&B what it lacks."""

from pathlib import Path

import click

from marlpipe.commands.command_line.parameters import folders
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import UserError


def _name(_: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """UserError for a name that W&B cannot have."""
    if given is None:
        return None
    from marlpipe.wandb.run import NAME

    if not NAME.fullmatch(given):
        raise UserError(f"{parameter.opts[0]} cannot be '{given}'.\n  valid: a name as W&B knows it, such as my-study")
    return given


@verb(stopped="What was sent stays; issue the same command again to send the rest.")
@folders()
@click.option("--dry-run", is_flag=True, help="Print what would be done, without network and without a change.")
@click.option(
    "--project", metavar="NAME", callback=_name, help="Send to this project, not to that of the runs' config."
)
@click.option("--entity", metavar="NAME", callback=_name, help="The same, for the team or person.")
def command(folders: tuple[Path, ...], dry_run: bool, project: str | None, entity: str | None) -> int:
    """Sends to W&B what it lacks of runs.

    It takes all runs in and below some folders, such as those that were trained without network, and asks W&B
    afterwards whether it has all of each. A run that was interrupted and resumed is one run there, with each row once.
    The command can be repeated: what is there is not sent again, and what a run has added since is.

    Runs that are being trained are left alone. Logs of killed runs that hold nothing are put aside, into wandb/empty/.

    \b
    Exit status: 0 if W&B has all of all runs, or after --dry-run; 1 if some run
    is left alone, or not all of it is there; 2 if there is no such folder or
    option, nobody is logged in, or W&B does not answer.
    """
    from marlpipe.commands.sync.send_runs import send_runs
    from marlpipe.wandb.sync.sending import Options

    return send_runs(Options(folders=list(folders), dry_run=dry_run, project=project, entity=entity))
