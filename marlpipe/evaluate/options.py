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
python -m marlpipe.evaluate runs=FOLDER [episodes=N] [seed=0] [device=cpu]

The best policy of a run, finished or not, plays again. FOLDER/evaluation/ gets episodes.csv, and the films.
With `runs`, the best policies of all finished runs below a folder play ten times the episodes of an evaluation: the
absolute metric, which `python -m marlpipe.compare` shows. What was measured already is not measured again.

  run=FOLDER     the run's folder, multirun/ENV/ALGO-HASH/seed=SEED
  runs=FOLDER    instead of it, a folder of runs
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
OF_ONE_RUN = ("epsilon", "video", "film", "fps")
VIDEOS = ("false", "true", "mp4", "gif", "png")


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says; None is worked out from the run."""

    run: str = ""
    runs: str = ""
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
                f"  valid: run=FOLDER or runs=FOLDER, and the keys {', '.join(valid[2:])}; see --help"
            )
        if key not in valid:
            raise unknown("the key", key, valid)
        given[key] = _number(key, value) if key in BOUNDS else value
    if given.get("runs"):
        if others := [key for key in ("run", *OF_ONE_RUN) if key in given]:
            raise UserError(
                f"runs={given['runs']} cannot be combined with {', '.join(others)}.\n  valid: episodes, seed, device"
            )
    elif not given.get("run"):
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
