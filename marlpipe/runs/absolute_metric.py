"""The absolute metric of a run (Gorsane et al. 2022, arXiv 2209.10485): its best policy, measured after training.

The evaluations that chose a policy say too much of it: the highest of many is high by luck too.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.files import read_json, write_json
from marlpipe.runs.folder import RunFolder

TIMES_AS_MANY = 10  # episodes as in an evaluation of the run; Gorsane et al. 2022


@dataclass(frozen=True, kw_only=True)
class Absolute:
    """Episodes that the best policy played without exploring."""

    returns: list[float]  # of the team, one per episode
    best_return: float  # of the evaluation that chose the policy: a run that went on may have a better one by now
    seed: int  # of the worlds

    @property
    def mean(self) -> float:
        return sum(self.returns) / len(self.returns)


def absolute_file(folder: RunFolder) -> Path:
    """Where it is kept, among what else came of playing again."""
    return folder.path / "evaluation" / "absolute.json"


def write_absolute(folder: RunFolder, measured: Absolute) -> None:
    """Whole or not at all. UserError where the disk refuses."""
    write_json(absolute_file(folder), asdict(measured))


def read_absolute(folder: RunFolder) -> Absolute | None:
    """None where the policy was not measured, or the file is not such a one."""
    try:
        told = read_json(absolute_file(folder))
    except UserError:
        return None
    match told:
        case {"returns": [*returns], "best_return": float() | int() as best_return, "seed": int() as seed} if returns:
            if all(isinstance(one, float | int) and math.isfinite(one) for one in returns):
                return Absolute(returns=[float(one) for one in returns], best_return=float(best_return), seed=seed)
    return None
