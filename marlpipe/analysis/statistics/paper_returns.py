"""The return of a paper's figure in a world, to say how soon an arm reaches it: from `paper_returns.yaml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml  # type: ignore[import-untyped]

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.statistics.references import settings
from marlpipe.errors import UserError

KNOWN = Path(__file__).with_name("paper_returns.yaml")


class PaperReturn(NamedTuple):
    """A return, and where it comes from."""

    value: float
    source: str


def paper_return(arms: Sequence[Arm]) -> PaperReturn | None:
    """That of the world in which all these arms were trained; None where no figure has it."""
    try:
        worlds = [settings(arm.runs[0]) for arm in arms]
    except UserError:
        return None  # the page names the config that cannot be read
    for entry in yaml.safe_load(KNOWN.read_text(encoding="utf-8")):
        if worlds and all(entry["env"].items() <= world.items() for world in worlds):
            return PaperReturn(float(entry["return"]), entry["source"])
    return None
