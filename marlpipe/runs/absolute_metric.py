"""The absolute metric of a run (Gorsane et al. 2022, arXiv 2209.10485): its best policy, evaluated after training.

The evaluations that choose a policy overestimate it: the highest of many is high by luck, too.
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
    """Episodes that the best policy played without exploration."""

    returns: list[float]  # of the team, undiscounted, one per episode
    best_return: float  # of the evaluation that chose the policy; a resumed run may have a better one by now
    seed: int  # of the environments

    @property
    def mean(self) -> float:
        return sum(self.returns) / len(self.returns)


def absolute_file(folder: RunFolder) -> Path:
    """Where the absolute metric is stored."""
    return folder.path / "evaluation" / "absolute.json"


def write_absolute(folder: RunFolder, measured: Absolute) -> None:
    """Atomic write. UserError where the disk refuses."""
    write_json(absolute_file(folder), asdict(measured))


def read_absolute(folder: RunFolder) -> Absolute | None:
    """None where the policy was not evaluated after training.

    Raises:
        UserError: the file cannot be read, or does not hold an absolute metric.
    """
    file = absolute_file(folder)
    stored = read_json(file)
    if stored is None:
        return None
    match stored:
        case {"returns": [*returns], "best_return": float() | int() as best_return, "seed": int() as seed} if returns:
            if all(isinstance(one, float | int) and math.isfinite(one) for one in returns):
                return Absolute(returns=[float(one) for one in returns], best_return=float(best_return), seed=seed)
    raise UserError(
        f"{file} does not hold an absolute metric.\n"
        "  valid: returns, a list of finite numbers; best_return, a number; seed, a whole number\n"
        f"  next: remove the file, then python -m marlpipe evaluate {folder.path.parent}"
    )
