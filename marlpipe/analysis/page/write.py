"""Writes the files of a comparison: the page, tables, figures and exports, each atomically."""

import re
from pathlib import Path

from marlpipe.analysis.output_files import LONGEST_NAME, output_file
from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.page.csv_files import csv_files
from marlpipe.analysis.page.exports import exports
from marlpipe.analysis.page.page import page
from marlpipe.runs.files import os_errors_as_user_errors, write_bytes

PAGE = "index.html"


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Writes the page, the tables and the figures; the page comes first.

    Raises:
        UserError: the folder cannot be written to, or a link in it leads elsewhere.
    """
    from marlpipe.analysis.page.figures import env_figure, tasks_figure  # matplotlib takes a second to import

    with os_errors_as_user_errors("make the folder", out):
        out.mkdir(parents=True, exist_ok=True)
    texts = {PAGE: page(comparison), **csv_files(comparison)}
    contents = {name: text.encode() for name, text in texts.items()} | exports(comparison)
    for name, content in contents.items():
        write_bytes(output_file(out, name), content)
    colours = {name: number for number, name in enumerate(comparison.arms)}
    named = zip(comparison.envs, _names(comparison), strict=True)
    drawn = [env_figure(part.evidence, colours, out, name) for part, name in named]
    drawn.append(tasks_figure(comparison.tasks, colours, out))
    return [*(out / name for name in contents), *(file for files in drawn for file in files)]


def _names(comparison: Comparison) -> list[str]:
    """File names of the environments' figures, without ending; no two are the same."""
    names = [re.sub(r"[^A-Za-z0-9_=-]+", "_", part.evidence.env)[:LONGEST_NAME] or "env" for part in comparison.envs]
    return [name if names.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(names)]
