"""`python -m marlpipe report FOLDER [FOLDER…]`: the comparison of any runs, from their folders alone."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from marlpipe.analysis.report.report import report
from marlpipe.runs.links import check_inside


def run(arguments: Sequence[str]) -> int:
    """Prints and writes the report; the exit status is 1 where that is not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m marlpipe report", description="Compare finished and running runs, from their folders."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run, or a folder above runs")
    parser.add_argument("--out", type=Path, help="where table.csv and the figures go (default: FOLDER/report)")
    given = parser.parse_args(arguments)
    beside = given.folders[0] / "report"
    if given.out is None:
        check_inside(beside, given.folders[0])
    report(given.folders, given.out or beside)
    return 0
