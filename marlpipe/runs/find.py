"""Finds run folders in and below given folders."""

import os
from collections.abc import Iterable
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_enclosed

# each marks a run folder: a run that was killed early has no run.json yet, a submitted one neither of the first two
RUN_FILES = {"run.json", "status.json", "submission.json"}
NO_RUNS_THERE = {"checkpoints", "wandb"}  # subfolders of a run that are not searched


def find_folders(roots: Iterable[Path]) -> list[RunFolder]:
    """All run folders in and below some folders, each once, in the order of their paths. Opens no file.

    Raises:
        UserError: a root does not exist, or there is no run below any.
    """
    searched = list(roots)
    found: dict[Path, Path] = {}
    for root in searched:
        if not root.is_dir():
            raise UserError(f"there is no folder {root}\n  Give the folder of a run, or one above it, like multirun/.")
        for name, below, files in os.walk(root):
            if not RUN_FILES.isdisjoint(files):
                found[Path(name).resolve()] = Path(name)
                below[:] = [folder for folder in below if folder not in NO_RUNS_THERE]
    if not found:
        places = ", ".join(str(root) for root in searched) or "(no folder given)"
        raise UserError(
            f"no run found in {places}\n  A run is a folder with a run.json. Start some first, for instance:\n"
            "  python -m marlpipe -m algo=qmix,vdn env=cartpole seed=0,1,2"
        )
    return [RunFolder(found[path]) for path in sorted(found)]


def run_at(path: Path) -> RunFolder:
    """The folder of one run. UserError for what is none, and for one that a link leads out of."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        wrong = f"is not the folder of a run: it has no {folder.config.name}" if path.is_dir() else "is not there"
        raise UserError(f"{path} {wrong}.\n  valid: the folder of a run, multirun/ENV/ALGO-HASH/seed=SEED")
    check_enclosed(path)
    return folder
