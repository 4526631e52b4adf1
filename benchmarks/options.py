"""Options of `python -m benchmarks` and `python -m benchmarks.check`."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from benchmarks.results import FOLDER
from marlpipe.runs.provenance import cores


def parser(command: str, description: str | None, sections: Iterable[str]) -> argparse.ArgumentParser:
    """A parser with `threads`, `rounds`, `only` and `out`."""
    made = argparse.ArgumentParser(prog=f"python -m {command}", description=description)
    made.add_argument("--threads", type=positive, default=cores(), help="of torch (default: all cores)")
    made.add_argument("--rounds", type=positive, help="counted repetitions (default: each section's own)")
    made.add_argument("--only", nargs="+", choices=list(sections), metavar="SECTION", help=f"of {', '.join(sections)}")
    made.add_argument("--out", type=Path, default=FOLDER, help="folder of the JSON file (default: %(default)s)")
    return made


def positive(typed: str) -> int:
    number = int(typed)
    if number < 1:
        raise argparse.ArgumentTypeError("takes 1 or more")
    return number
