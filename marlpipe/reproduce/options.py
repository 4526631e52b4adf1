"""What can be typed behind `python -m marlpipe.reproduce`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from marlpipe.bound import Bound
from marlpipe.errors import UserError, unknown

HELP = """\
python -m marlpipe.reproduce FOLDER [key=value …]

Trains a run again, from what its folder says. Before that, it tells what differs from then: code, packages, machine,
and what sums are rounded by. After that, it tells where the metrics and the curve of returns depart, if they do.

  FOLDER         of the run, multirun/ENV/ALGO-HASH/seed=SEED, whether it is finished or not; only read
  out=FOLDER     of the new run; if not given, reproductions/ENV/ALGO-HASH/seed=SEED, from where the command is typed
  env_steps=N    only so many; if not given, the whole run, or as far as an unfinished one has come
  dry=false      true: only tell what differs from then

It uses as many threads as the run did, and nothing is sent to W&B. Issued again, it goes on where it left off, or
compares again. The exit status is 0 if all is equal to the last bit, 1 if not, and 2 for what has to be mended first.
"""
STEPS = Bound(1)
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says; None is worked out from the run."""

    folder: Path
    out: Path | None = None
    env_steps: int | None = None
    dry: bool = False


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for no folder or more than one, for an unknown key, and for a value that cannot be."""
    keys = [field.name for field in fields(Options)][1:]
    folders: list[str] = []
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or "/" in key or Path(argument).exists():  # a folder's own name may have an equals sign
            folders.append(argument)
        elif key not in keys:
            raise unknown("the key", key, keys)
        else:
            given[key] = _read(key, value)
    if len(folders) != 1:
        raise UserError(
            f"one run is reproduced at a time, but {len(folders)} folders came.\n"
            "  valid: the folder of a run, and key=value\n"
            "  next: for example multirun/cartpole/qmix-1a2b3c4d/seed=0; see --help"
        )
    return Options(folder=Path(folders[0]), **given)


def _read(key: str, value: str) -> Path | int | bool:
    if key == "out" and value:
        return Path(value)
    if key == "dry":
        if value not in FLAGS:
            raise unknown("dry: the option", value, FLAGS)
        return FLAGS[value]
    with suppress(ValueError):
        if key == "env_steps" and STEPS.holds(int(value)):
            return int(value)
    raise UserError(f"{key}={value} is not possible.\n  valid: {STEPS if key == 'env_steps' else 'a folder'}")
