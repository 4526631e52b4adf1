"""The command line: finds out what there is to show, and saves it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from marlpipe.dashboard.destination import typed
from marlpipe.dashboard.options import HELP, Options, parsed
from marlpipe.dashboard.plan import outline, plans
from marlpipe.dashboard.report import report
from marlpipe.dashboard.saving import project, save_report, save_view
from marlpipe.dashboard.study import Study, study_of
from marlpipe.dashboard.workspace import workspace


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
