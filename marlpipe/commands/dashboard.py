"""The command line: finds out what there is to show, and saves it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from marlpipe.errors import UserError, unknown
from marlpipe.wandb.dashboard.destination import typed
from marlpipe.wandb.dashboard.plan import outline, plans
from marlpipe.wandb.dashboard.report import report
from marlpipe.wandb.dashboard.saving import project, save_report, save_view
from marlpipe.wandb.dashboard.study import Study, study_of
from marlpipe.wandb.dashboard.workspace import workspace

HELP = """\
python -m marlpipe dashboard FOLDER|PROJECT [--report] [--entity E] [--name N] [--dry-run]

Saves a view in W&B and prints its address: returns over env steps, grouped by environment and algorithm with the spread
of the seeds, rollouts, time, training, diagnostics, pictures, and a table of the runs. The same command again renews
the same view.

  FOLDER         a folder of runs, such as multirun/: one view per environment, with its runs, and panels for what they
                 recorded. The runs' config says which project they are in
  PROJECT        project, or entity/project: one view of all its runs, with what every run records
  --report       a report in place of views, which says what is compared
  --entity E     the team or person that the project belongs to (default: as the runs say, else your own)
  --name N       of the view or report (default: that of the folder or project)
  --dry-run      tell what would be saved, and ask no server

Needs an account of W&B. `python -m marlpipe compare FOLDER` needs none, and has intervals and tests.

Exit status: 0 if it was saved, 2 if there is no such folder, project or option, or W&B does not answer.
"""
FLAGS = ("--report", "--entity", "--name", "--dry-run")
WITH_VALUE = {"--entity", "--name"}
TITLE = re.compile(r"[\w .,:()/-]{1,100}")  # W&B takes no symbols


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    source: str
    entity: str | None = None
    name: str | None = None
    report: bool = False
    dry_run: bool = False


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for an option that does not exist or lacks its value, and for anything but one folder or project."""
    sources: list[str] = []
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            sources.append(word)
        elif flag not in FLAGS or (equals and flag not in WITH_VALUE):
            raise unknown("the option", word, FLAGS)
        else:
            given[flag] = value if equals or flag not in WITH_VALUE else next(words, "")
            if flag in WITH_VALUE and given[flag][:1] in ("", "-"):
                raise UserError(f"{flag} needs a value.\n  next: {flag} NAME; see --help")
    if len(sources) != 1:
        raise UserError(
            f"{'which runs?' if not sources else f'one at a time, and not {len(sources)}.'}\n"
            "  next: give a folder of runs, such as multirun/, or a project of W&B; see --help"
        )
    if "--name" in given and not TITLE.fullmatch(given["--name"]):
        raise UserError(
            f"--name cannot be {given['--name']!r:.120}.\n  valid: up to 100 letters, digits, spaces and .,:()/-_"
        )
    return Options(
        source=sources[0],
        entity=given.get("--entity"),
        name=given.get("--name"),
        report="--report" in given,
        dry_run="--dry-run" in given,
    )


def run(arguments: Sequence[str]) -> int:
    """Prints the addresses of what was saved. UserError for what cannot be read, asked or saved."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    study = _study(options)
    title = options.name or re.sub(r"[^\w.-]+", "-", study.name)[:100]
    shown = plans(study, title)
    if options.dry_run:
        print(f"{'report' if options.report else 'view'} in {study.destination}")
        print("\n".join(line for plan in shown for line in outline(plan)))
        return 0
    here = project(study.destination)
    if options.report:
        print(save_report(report(shown, title=title, entity=here.entity, project=here.name)))
    else:
        for plan in shown:
            print(save_view(workspace(plan, entity=here.entity, project=here.name)), flush=True)
    return 0


def _study(options: Options) -> Study:
    folder = Path(options.source)
    if folder.is_dir():
        study = study_of(folder)
    else:
        where = typed(options.source)
        study = Study(name=where.project, destination=where)
    if options.entity is None:
        return study
    return replace(study, destination=replace(study.destination, entity=options.entity))
