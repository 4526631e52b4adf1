"""The command line: `python -m marlpipe` trains one run, `python -m marlpipe -m` a grid."""

import os
from collections.abc import Sequence

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn
from hydra.errors import InstantiationException

from marlpipe.analysis.report.report import report
from marlpipe.config.compose import compose_api
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import grid_hash, register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_inside_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.training.session import train


def run(arguments: Sequence[str]) -> int:
    """Checks all runs that the command asks for, hands them to Hydra, and reports on what became of them."""
    register_resolvers()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are, and `main` tells them
    asked = get_args_parser().parse_args(arguments)
    if asked.help or asked.hydra_help or asked.cfg or asked.info or asked.shell_completion:
        hydra.main(config_path=str(config_folder()), config_name="train", version_base="1.3")(train)()
        return 0
    folders = list(dict.fromkeys(planned_folders(asked.overrides, config_folder(), sweep=asked.multirun)))
    if not folders:  # a search: it knows them as they come, and reports on them
        hand_to_hydra(asked.overrides, sweep=True)
        return 0
    if not asked.multirun:
        RunFolder(folders[0]).create()
    with os_errors_inside_as_user_errors(folders[0].absolute().parents[2]):  # Hydra writes there too
        done = hand_to_hydra(asked.overrides, sweep=asked.multirun)
    if not done and any(not RunFolder(folder).status.ended for folder in folders):
        print(f"submitted. How it goes: python -m marlpipe status {folders[0].parents[2]} --watch")
        return 0
    out = folders[0] / "figures" if len(folders) == 1 else folders[0].parents[2] / "reports" / grid_hash(folders)
    report([folder for folder in folders if folder.is_dir()], out)
    if asked.multirun:
        print(f"on one page, with all that was run before: python -m marlpipe compare {folders[0].parents[2]}")
    return int(any(RunFolder(folder).status.state != "finished" for folder in folders))


def hand_to_hydra(overrides: Sequence[str], *, sweep: bool) -> bool:
    """What `hydra.main` does with a command line, but for a composition to see whether it is a sweep.

    Returns:
        Whether the runs are over; False if they were handed to a queue, of which nothing has come back yet.
    """
    with compose_api(config_folder()):
        application = GlobalHydra.instance().hydra
        assert application is not None
        try:
            if sweep:
                mode = "hydra.mode=MULTIRUN"
                batches: list[Sequence[JobReturn]] = application.multirun("train", train, [*overrides, mode])
                return all(batches)
            application.run("train", train, [*overrides, "hydra.mode=RUN"])
        except InstantiationException as error:  # Hydra puts it around what a launcher says of its settings
            if isinstance(error.__cause__, UserError):
                raise error.__cause__ from None
            raise
    return True
