"""All figures of the papers: curves from runs, pictures from curves, and one table of claims."""

from collections.abc import Sequence
from pathlib import Path

from marlpipe.analysis.evaluated_runs import find_runs
from marlpipe.analysis.output_files import output_file
from marlpipe.analysis.papers.claims import Finding, findings
from marlpipe.analysis.papers.curves import SeedCurve, finished_curves, merged, read_curves, write_curves
from marlpipe.analysis.papers.drawing import draw
from marlpipe.analysis.papers.figures import PaperFigure, paper_figures
from marlpipe.runs.files import os_errors_as_user_errors, write_text

TABLE = "claims.md"
HEAD = "| figure | claim | the paper | ours: mean [95 % interval] | verdict |\n|---|---|---|---|---|\n"


def update(folders: Sequence[Path], out: Path) -> list[Path]:
    """Takes up finished runs, draws every figure that has curves, and writes the table of claims.

    Args:
        folders: run folders or folders above them, whose curves are added to those in `out`; none: only redraw.
        out: a folder with NAME.csv of each figure, which gets NAME.png and claims.md; it is made if it does not exist.

    Returns:
        The files that were written.

    Raises:
        UserError: there is no run in the folders, a file is broken, or nothing can be written.
    """
    with os_errors_as_user_errors("make the folder", out):
        out.mkdir(parents=True, exist_ok=True)
    new = finished_curves(find_runs(folders)) if folders else []
    written, found = [], []
    for figure in paper_figures():
        file = output_file(out, f"{figure.name}.csv")
        curves = merged(read_curves(file), of_figure(figure, new))
        found += findings(figure, curves)
        if not curves:
            continue
        if folders:
            write_curves(file, curves)
            written.append(file)
        written.append(output_file(out, f"{figure.name}.png"))
        draw(figure, curves, written[-1])
    written.append(output_file(out, TABLE))
    write_text(written[-1], claims_table(found))
    return written


def of_figure(figure: PaperFigure, curves: Sequence[SeedCurve]) -> list[SeedCurve]:
    """The curves that a figure shows."""
    return [curve for curve in curves if curve.env in figure.panels and curve.arm in figure.arms]


def claims_table(found: Sequence[Finding]) -> str:
    """Markdown, a row for each claim."""
    return HEAD + "".join(
        f"| {one.figure.title.partition(':')[0]} | {one.claim.says} | {one.claim.paper} | {one.ours} | "
        f"**{one.verdict}**{'. ' + one.claim.why if one.claim.why else ''} |\n"
        for one in found
    )
