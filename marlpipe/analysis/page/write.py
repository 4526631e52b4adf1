"""The files of a comparison, each whole or absent."""

import re
from pathlib import Path

from marlpipe.analysis.page.comparison import Comparison
from marlpipe.analysis.page.csv_files import csv_files
from marlpipe.analysis.page.exports import exports
from marlpipe.analysis.page.figures import env_figure, tasks_figure
from marlpipe.analysis.page.page import page
from marlpipe.analysis.report.report import LONGEST_NAME, inside
from marlpipe.runs.files import os_errors_as_user_errors, write_bytes

PAGE = "index.html"


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Writes the page, the tables and the figures; the page comes first.

    Raises:
        UserError: the folder cannot be written to, or a link in it leads elsewhere.
    """
    with os_errors_as_user_errors("make the folder", out):
        out.mkdir(parents=True, exist_ok=True)
    texts = {PAGE: page(comparison), **csv_files(comparison)}
    contents = {name: text.encode() for name, text in texts.items()} | exports(comparison)
    for name, content in contents.items():
        write_bytes(inside(out, name), content)
    colours = {name: number for number, name in enumerate(comparison.arms)}
    named = zip(comparison.envs, _names(comparison), strict=True)
    drawn = [env_figure(part.evidence, colours, out, name) for part, name in named]
    drawn.append(tasks_figure(comparison.tasks, colours, out))
    return [*(out / name for name in contents), *(file for files in drawn for file in files)]


def _names(comparison: Comparison) -> list[str]:
    """Of the environments' files: what can stand in a path, and no two the same."""
    told = [re.sub(r"[^A-Za-z0-9_=-]+", "_", part.evidence.env)[:LONGEST_NAME] or "env" for part in comparison.envs]
    return [name if told.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(told)]
