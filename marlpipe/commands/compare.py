"""The command line: reads all runs, compares them, and writes or serves what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.analysis.page.comparison import comparison
from marlpipe.analysis.page.serving import watch
from marlpipe.analysis.page.write import write
from marlpipe.errors import UserError, unknown
from marlpipe.runs.links import check_inside

HELP = """\
python -m marlpipe compare FOLDER [FOLDER…] [--out FOLDER] [--watch]

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


def run(arguments: Sequence[str]) -> int:
    """Prints where the files are, or the address. UserError for what cannot be read, written or looked for."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    if options.watch:
        watch(options.folders, lambda address: print(f"{address}  until Ctrl-C", flush=True))
    beside = options.folders[0] / "comparison"
    if options.out is None:
        check_inside(beside, options.folders[0])
    for file in write(comparison(options.folders), options.out or beside):
        print(file)
    return 0
