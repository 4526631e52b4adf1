"""`python -m marlpipe.analysis FOLDER [FOLDER…]`: the comparison of any runs, from their folders alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from marlpipe.analysis.report import report
from marlpipe.errors import UserError
from marlpipe.records.enclosed import check_inside
from marlpipe.records.plain_text import plain


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints and writes the report; the exit status is 1 where that is not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m marlpipe.analysis", description="Compare finished and running runs, from their folders."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run, or a folder above runs")
    parser.add_argument("--out", type=Path, help="where table.csv and the figures go (default: FOLDER/report)")
    given = parser.parse_args(arguments)
    try:
        beside = given.folders[0] / "report"
        if given.out is None:
            check_inside(beside, given.folders[0])
        report(given.folders, given.out or beside)
    except UserError as error:
        print(plain(str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
