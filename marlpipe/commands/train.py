"""Training: `marlpipe OVERRIDES…` trains one run, `marlpipe -m OVERRIDES…` a grid."""

import os
import sys
from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.errors import InstantiationException

from marlpipe.config.compose import compose_api
from marlpipe.config.folder import config_folder
from marlpipe.config.heavy_imports import heavy_imports
from marlpipe.config.hydra_internals import application
from marlpipe.config.naming import grid_hash, register_resolvers
from marlpipe.config.plan import plan
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_inside_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import EVAL_RETURN
from marlpipe.runs.path import RunPath


def run(overrides: Sequence[str], *, sweep: bool) -> int:
    """Checks all runs that the command asks for, hands them to Hydra, and reports how they ended."""
    register_resolvers()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here as they are, and `exit_with` prints them
    with compose_api(config_folder()):
        runs = list(dict.fromkeys(plan(overrides, config_folder(), sweep=sweep)))
        if not runs:  # a search: it decides on its runs as it goes, and reports on them
            hand_to_hydra(overrides, sweep=True)
            return 0
        if not sweep and is_finished(runs[0]):
            print_finished(RunFolder(runs[0].folder))
            return 0
        if not sweep:
            RunFolder(runs[0].folder).create()
        written = runs[0].root if sweep else runs[0].folder
        with os_errors_inside_as_user_errors(written.absolute()):  # Hydra writes there too
            done = hand_to_hydra(overrides, sweep=sweep)
    return conclude(runs, submitted=not done, sweep=sweep)


def hand_to_hydra(overrides: Sequence[str], *, sweep: bool) -> bool:
    """Does what `hydra.main` does with a command line, inside `compose_api`, whose configs it uses.

    Returns:
        Whether the runs are over; False if they were submitted to a queue.
    """
    with heavy_imports():
        from marlpipe.training.session import train as task  # which a grid's processes find by its name

    try:
        if sweep:
            mode = "hydra.mode=MULTIRUN"
            batches: list[Sequence[JobReturn]] = application().multirun("train", task, [*overrides, mode])
            return all(batches)
        application().run("train", task, [*overrides, "hydra.mode=RUN"])
    except InstantiationException as error:  # Hydra's wrapping of what a launcher raises about its settings
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise
    return True


def conclude(runs: Sequence[RunPath], *, submitted: bool, sweep: bool) -> int:
    """Reports on the runs. Returns 0 if all have finished or were submitted, else 1."""
    root = runs[0].root
    if submitted and not all(RunFolder(run.folder).status.ended for run in runs):
        print(f"submitted. Their progress: python -m marlpipe status {root} --watch")
        return 0
    from marlpipe.analysis.report.report import report  # imports scipy and matplotlib

    folders = [run.folder for run in runs]
    out = folders[0] / "figures" if len(folders) == 1 else root / "reports" / grid_hash(folders)
    report([folder for folder in folders if folder.is_dir()], out)
    if sweep:
        print(f"on one page, with all earlier runs: python -m marlpipe compare {root}")
    return int(not all(map(is_finished, runs)))


def print_finished(folder: RunFolder) -> None:
    """Prints the last evaluation of a finished run, and where its figures are."""
    print(f"{folder.path}: finished already, nothing to do", file=sys.stderr)
    evaluations = [row for row in folder.read_metrics() if EVAL_RETURN in row]
    if evaluations:
        last = evaluations[-1]
        print(f"return of the last evaluation: {last[EVAL_RETURN]:.1f} after {last['env_steps']:,.0f} env steps")
    print(f"all numbers and figures: python -m marlpipe report {folder.path}")


def is_finished(run: RunPath) -> bool:
    """Whether the run's status file says so."""
    return RunFolder(run.folder).status.state == "finished"
