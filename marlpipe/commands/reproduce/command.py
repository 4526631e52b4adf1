"""`marlpipe reproduce`: a run again, and whether it is equal."""

from pathlib import Path

import click

from marlpipe.commands.command_line.completion import complete_folders
from marlpipe.commands.command_line.parameters import Folder, Number, out
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import Bound
from marlpipe.runs.find import run_at


@verb(stopped="The same command goes on where it left off.")
@click.argument("folder", type=Folder(), shell_complete=complete_folders)
@out("reproductions/ENV/ALGO-HASH/seed=SEED")
@click.option(
    "--env-steps",
    type=Number(Bound(1, 10**12)),
    help="Only so many; if not given, the whole run, or as far as an unfinished one has trained.",
)
@click.option("--dry-run", is_flag=True, help="Only print what differs from then.")
def command(folder: Path, out: Path | None, env_steps: int | None, dry_run: bool) -> int:
    """Trains a run again, from its folder, and compares both.

    FOLDER is that of a run, multirun/ENV/ALGO-HASH/seed=SEED, finished or not; it is only read. First come the
    differences from then: code, packages, machine, and what sums are rounded by. At the end, if the metrics or the
    curves of returns diverge, where they do.

    It uses as many threads as the run did, and nothing is sent to W&B. Issued again, it resumes, or compares again.

    \b
    Exit status: 0 if all is equal to the last bit, 1 if not, and 2 for what has
    to be mended first.
    """
    run_at(folder)  # before torch is loaded, which takes seconds
    from marlpipe.commands.reproduce.train_again import train_again

    return train_again(folder, out=out, env_steps=env_steps, dry_run=dry_run)
