"""Names and paths of the files that a report or a comparison writes."""

import re
from pathlib import Path

from marlpipe.runs.links import check_inside

LONGEST_NAME = 100  # characters


def output_file(out: Path, name: str) -> Path:
    """The path of an output file. UserError where a link at that path leads out of the folder."""
    check_inside(out / name, out)
    return out / name


def file_stem(env: str) -> str:
    """The name of an environment, restricted to the characters that a file name may have."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", env)[:LONGEST_NAME] or "env"
