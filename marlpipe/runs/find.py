"""Finds run folders in and below given folders, also where links lead to them."""

import functools
import os
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.text import printable

# each marks a run folder: a run that was killed early has no run.json yet, a submitted one neither of the first two
RUN_FILES = {"run.json", "status.json", "submission.json"}
NO_RUNS_THERE = {"checkpoints", "wandb"}  # subfolders of a run that are not searched


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder to look into: the path by which it was found, and the one without links."""

    path: Path
    real: Path
    in_a_run: bool = False  # a stranger may have put links there, so none is followed


def find_folders(roots: Iterable[Path]) -> list[RunFolder]:
    """All run folders in and below some folders, each once, in the order of their paths. Opens no file.

    Links to folders are followed, but for those inside of a run folder. A folder that is reached in several ways has
    the path with the fewest links. Where a folder or a link cannot be followed, or one of several roots holds no run, a
    line on stderr says so, once per process.

    Raises:
        UserError: a root does not exist, or there is no run below any.
    """
    searched = list(roots)
    for root in searched:
        if not root.is_dir():
            raise UserError(f"there is no folder {root}\n  Give the folder of a run, or one above it, like multirun/.")
    found: dict[Path, Path] = {}
    seen: set[Path] = set()
    links = deque(searched)  # the roots first; every other link only once all that is reached without it is known
    while links:
        path = links.popleft()
        below = [Place(path=path, real=Path(os.path.realpath(path)))]
        while below:
            place = below.pop()
            if place.real in seen:
                continue
            seen.add(place.real)
            files, folders, more_links = entries(place.path)
            is_run = not RUN_FILES.isdisjoint(files)
            if is_run:
                found[place.real] = place.path
            inside = is_run or place.in_a_run
            below += [
                Place(path=place.path / name, real=place.real / name, in_a_run=inside)
                for name in folders
                if not (is_run and name in NO_RUNS_THERE)
            ]
            links += [] if inside else [link for name in more_links if is_folder(link := place.path / name)]
    if not found:
        places = ", ".join(str(root) for root in searched) or "(no folder given)"
        raise UserError(
            f"no run found in {places}\n  A run is a folder with a run.json. Start some first, for instance:\n"
            "  python -m marlpipe -m algo=qmix,vdn env=cartpole seed=0,1,2"
        )
    for root in searched:
        if not any(
            path.is_relative_to(root) or real.is_relative_to(os.path.realpath(root)) for real, path in found.items()
        ):
            say_none(root)
    return [RunFolder(path) for path in sorted(found.values(), key=os.path.abspath)]


def entries(folder: Path) -> tuple[set[str], list[str], list[str]]:
    """The names of all that is no folder, of folders, and of links, which are among the first, too."""
    files: set[str] = set()
    folders: list[str] = []
    links: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                files.add(entry.name)
                if entry.is_symlink():
                    links.append(entry.name)
    except OSError as error:
        say_left_out(folder, "cannot be searched", error.strerror)
    return files, folders, links


def is_folder(link: Path) -> bool:
    """Whether a link leads to a folder; says so where it leads nowhere."""
    try:
        link.stat()
    except OSError as error:
        say_left_out(link, f"is a link to {os.readlink(link)}, which cannot be followed", error.strerror)
        return False
    return link.is_dir()


@functools.cache  # commands look again and again
def say_left_out(path: Path, why: str, error: str) -> None:
    """One line on stderr."""
    print(printable(f"left out: {path} {why}: {error}", keep=""), file=sys.stderr)


@functools.cache
def say_none(root: Path) -> None:
    """One line on stderr."""
    print(printable(f"no run is in {root}", keep=""), file=sys.stderr)


def run_at(path: Path) -> RunFolder:
    """The folder of one run. UserError for what is none, and for one that a link leads out of."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        wrong = "is no folder" if path.exists() else "is not there"
        wrong = f"is not the folder of a run: it has no {folder.config.name}" if path.is_dir() else wrong
        raise UserError(f"{path} {wrong}.\n  valid: the folder of a run, multirun/ENV/ALGO-HASH/seed=SEED")
    check_enclosed(path)
    return folder
