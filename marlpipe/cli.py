"""The command line: `python -m marlpipe` trains one run, `python -m marlpipe -m` a grid."""

import os
import sys
from collections.abc import Sequence

import hydra
from hydra._internal.utils import get_args_parser
from rich.console import Console

from marlpipe.analysis.report import report
from marlpipe.configuration import config_folder
from marlpipe.errors import UserError
from marlpipe.grid import planned_folders
from marlpipe.naming import grid_hash, register_resolvers
from marlpipe.records.files import explained_inside
from marlpipe.records.folder import RunFolder
from marlpipe.train import train


def main() -> None:
    """Runs the command line and exits: 0 if all went well, 1 if a run failed, 130 after Ctrl-C, and 2 for what the
    user has to mend first, such as bad input or a full disk.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        sys.exit(run(sys.argv[1:]))
    except UserError as error:
        console.print(f"marlpipe: {error}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("marlpipe: stopped. The same command goes on where it left off.")
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        console.print(f"marlpipe: unexpected {type(error).__name__}: {error}", markup=False)
        console.print("  Please report it with the traceback, which follows.")
        console.print_exception()
        sys.exit(1)


def run(arguments: Sequence[str]) -> int:
    """Checks all runs that the command asks for, hands them to Hydra, and reports on what became of them."""
    register_resolvers()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are, and `main` tells them
    asked = get_args_parser().parse_args(arguments)
    application = hydra.main(config_path=str(config_folder()), config_name="train", version_base="1.3")(train)
    if asked.help or asked.hydra_help or asked.cfg or asked.info or asked.shell_completion:
        application()
        return 0
    folders = list(dict.fromkeys(planned_folders(asked.overrides, config_folder(), sweep=asked.multirun)))
    for folder in folders:
        RunFolder(folder).create()
    with explained_inside(folders[0].absolute().parents[2]):  # Hydra writes there too
        application()
    out = folders[0] / "figures" if len(folders) == 1 else folders[0].parents[2] / "reports" / grid_hash(folders)
    report([folder for folder in folders if folder.is_dir()], out)
    return int(any(RunFolder(folder).status.state != "finished" for folder in folders))
