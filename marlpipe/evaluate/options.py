"""What can be typed behind `python -m marlpipe.evaluate`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from marlpipe.bound import Bound
from marlpipe.errors import UserError, unknown

HELP = """\
python -m marlpipe.evaluate run=FOLDER [key=value …]

The best policy of a run, finished or not, plays again. FOLDER/evaluation/ gets episodes.csv, and the films.

  run=FOLDER     the run's folder, multirun/ENV/ALGO-HASH/seed=SEED
  episodes=N     how many; if not given, as many as in the run's own evaluations
  seed=0         of worlds and exploration: under one seed, all policies start in the same worlds
  epsilon=0.0    the probability of a random action
  video=false    true, mp4, gif, or png: the moment halfway
  film=1         how many episodes to film, from the first on
  fps=F          frames per second; if not given, such that the longest possible episode takes about 8 s
  device=cpu     where to compute, as torch calls it
"""
BOUNDS = {
    "episodes": Bound(1),
    "seed": Bound(0, 2**20),
    "epsilon": Bound(0, 1, whole=False),
    "film": Bound(1),
    "fps": Bound(0.1, 100, whole=False),
}
VIDEOS = ("false", "true", "mp4", "gif", "png")


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says; None is worked out from the run."""

    run: str
    episodes: int | None = None
    seed: int = 0
    epsilon: float = 0.0
    video: str = "false"
    film: int = 1
    fps: float | None = None
    device: str = "cpu"


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for what is not key=value, for a key that does not exist, and for a value that cannot be."""
    valid = [field.name for field in fields(Options)]
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or Path(argument).exists():
            raise UserError(
                f"'{argument}' is not of the form key=value.\n"
                f"  valid: run=FOLDER, and the keys {', '.join(valid[1:])}; see --help"
            )
        if key not in valid:
            raise unknown("the key", key, valid)
        given[key] = _number(key, value) if key in BOUNDS else value
    if not given.get("run"):
        raise UserError(
            "whose policy is to play?\n"
            "  next: give the folder of a run, as in run=multirun/cartpole/qmix-1a2b3c4d/seed=0; see --help"
        )
    options = Options(**given)
    if options.video not in VIDEOS:
        raise unknown("video: the option", options.video, VIDEOS)
    return options


def _number(key: str, value: str) -> int | float:
    with suppress(ValueError):
        number = int(value) if BOUNDS[key].whole else float(value)
        if BOUNDS[key].holds(number):
            return number
    raise UserError(f"{key}={value} is not possible.\n  valid: {BOUNDS[key]}")
