"""What can be typed behind `python -m marlpipe.compare`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError, unknown

HELP = """\
python -m marlpipe.compare FOLDER [FOLDER…] [--out FOLDER] [--watch]

Which method is better, and on what evidence: one page that opens in a browser from the disk, without network or
account, beside figures (PNG, PDF) and tables (CSV) of all runs in and below some folders, finished or not.

  --out FOLDER   where to write (default: comparison/ in the first folder)
  --watch        serve the page on this machine until Ctrl-C, and make it anew when the runs have gone on

Exit status: 0 if the page was written, 2 if there is no such folder or option, or nothing can be written.
"""
FLAGS = ("--out", "--watch")


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    folders: list[Path]
    out: Path | None = None
    watch: bool = False


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for an option that does not exist, and for no folder at all."""
    folders: list[Path] = []
    out, watch = None, False
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            folders.append(Path(word))
        elif flag == "--watch" and not equals:
            watch = True
        elif flag == "--out":
            given = value if equals else next(words, "")
            if not given:
                raise UserError("--out needs a folder.\n  next: --out FOLDER")
            out = Path(given)
        else:
            raise unknown("the option", word, FLAGS)
    if not folders:
        raise UserError("which runs?\n  next: give a folder of runs, such as multirun/, or of one run; see --help")
    return Options(folders=folders, out=out, watch=watch)
