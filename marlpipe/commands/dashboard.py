"""`marlpipe dashboard`: views and reports in W&B."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marlpipe.commands.command_line.completion import complete_folders
from marlpipe.commands.command_line.parameters import runs_here
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import UserError

if TYPE_CHECKING:
    from marlpipe.wandb.dashboard.study import Study

TITLE = re.compile(r"[\w .,:()/-]{1,100}")  # W&B takes no symbols


def _title(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and not TITLE.fullmatch(given):
        raise UserError(f"--name cannot be {given!r:.120}.\n  valid: up to 100 letters, digits, spaces and .,:()/-_")
    return given


@verb(stopped="What was saved before stays.")
@click.argument("source", metavar="[FOLDER|PROJECT]", required=False, shell_complete=complete_folders)
@click.option("--report", "as_report", is_flag=True, help="A report in place of views, which says what is compared.")
@click.option("--entity", help="The team or person of the project; if not given, as the runs say, else your own.")
@click.option("--name", callback=_title, help="Of the view or report; if not given, that of the folder or project.")
@click.option("--dry-run", is_flag=True, help="Print what would be saved, and ask no server.")
@click.pass_context
def command(
    context: click.Context, source: str | None, as_report: bool, entity: str | None, name: str | None, dry_run: bool
) -> int:
    """Saves a view of runs in W&B, and prints its address.

    It shows returns over env steps, grouped by environment and algorithm with the spread of the seeds, rollouts, time,
    training, diagnostics, pictures, and a table of the runs. The same command again renews the same view.

    \b
      FOLDER    of runs, multirun/ if not given: one view per environment,
                with its runs, and panels for what they recorded. The runs'
                config says which project they are in
      PROJECT   project, or entity/project: one view of all its runs, with
                what every run records

    It needs an account of W&B. `marlpipe compare FOLDER` needs none, and has intervals and tests.

    \b
    Exit status: 0 if it was saved, 2 if there is no such folder, project or
    option, or W&B does not answer.
    """
    for what, text in (("the name of a folder or project", source), ("--entity", entity)):
        if text == "":
            raise UserError(f"{what} is empty; is a variable of the shell not set?\n  next: leave it out, or name one")
    study = _study(source or str(runs_here(context)))

    from marlpipe.wandb.dashboard.plan import outline, plans
    from marlpipe.wandb.dashboard.report import report
    from marlpipe.wandb.dashboard.saving import project, save_report, save_view
    from marlpipe.wandb.dashboard.workspace import workspace

    if entity is not None:
        study = replace(study, destination=replace(study.destination, entity=entity))
    title = name or re.sub(r"[^\w.-]+", "-", study.name)[:100]
    shown = plans(study, title)
    if dry_run:
        print(f"{'report' if as_report else 'view'} in {study.destination}")
        print("\n".join(line for plan in shown for line in outline(plan)))
        return 0
    here = project(study.destination)
    if as_report:
        print(save_report(report(shown, title=title, entity=here.entity, project=here.name)))
    else:
        for plan in shown:
            print(save_view(workspace(plan, entity=here.entity, project=here.name)), flush=True)
    return 0


def _study(source: str) -> "Study":
    from marlpipe.wandb.dashboard.destination import typed
    from marlpipe.wandb.dashboard.study import Study, study_of

    if Path(source).is_dir():
        return study_of(Path(source))
    where = typed(source)
    return Study(name=where.project, destination=where)
