"""The command line: what differs from then is told, the run trained again, and both are compared."""

import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from marlpipe.commands.reproduce.changed_conditions import conditions
from marlpipe.commands.reproduce.stored_config_today import config_of_today
from marlpipe.commands.reproduce.verdict import verdict
from marlpipe.config.differences import whole
from marlpipe.errors import Bound, UserError, unknown
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity, run_record
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.path import short_name
from marlpipe.runs.provenance import provenance
from marlpipe.runs.status import LARGEST
from marlpipe.runs.text import printable
from marlpipe.training.conditions import environment, numerics
from marlpipe.training.session import RunRequest, train_in

HELP = """\
python -m marlpipe reproduce FOLDER [key=value …]

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


FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own
THREADS = Bound(1, 2**12)


def run(arguments: Sequence[str]) -> int:
    """Tells, trains, compares: 0 if all is equal to the last bit, 1 if not."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    folder = opened(options.folder)
    config, added = config_of_today(folder)
    then = run_record(folder)
    whole_run = shorten(config, folder, options.env_steps)
    config.threads = threads_then(then, config.threads)
    again = RunFolder(place(folder, options, None if whole_run else config.env_steps))
    now = run_record(again) or {**provenance(), "environment": environment(config), "numerics": numerics(config)}

    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    console.print(conditions(folder, then, now), crop=False)
    if added:
        console.print(whole(f"Keys that the run did not have, at their defaults: {', '.join(added)}."))
    if options.dry:
        return 0
    done = again.status.state == "finished"
    console.print(whole(f"{'Was trained again, and is compared anew:' if done else 'Trained again in'} {again.path}"))
    train_in(again, config, described(folder, then))
    equal, told = verdict(folder, again, whole_run=whole_run)
    console.print(whole(told), crop=False)
    return 0 if equal else 1


def opened(path: Path) -> RunFolder:
    """UserError for what is not the folder of a run, and for one that a link leads out of."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        wrong = "is not the folder of a run: it has no config.yaml" if path.is_dir() else "is not there"
        raise UserError(f"{path} {wrong}.\n  valid: the folder of a run, as multirun/ENV/ALGO-HASH/seed=SEED")
    check_enclosed(path)
    return folder


def shorten(config: DictConfig, folder: RunFolder, asked: int | None) -> bool:
    """Sets the length of the new run, and says whether that is the whole of the old one, which may not be finished.

    UserError for an old one that has nothing to compare, and for more than it was to have.
    """
    length = int(config.env_steps)
    if asked is not None and asked > length:
        raise UserError(f"env_steps={asked} is more than the run was to have.\n  valid: at most {length}")
    reached = [row.get("env_steps", math.nan) for row in folder.read_metrics()]
    if not reached:
        raise UserError(f"{folder.path} has no rows of metrics yet: there is nothing to compare.\n  next: let it train")
    if not all(0 <= env_steps <= LARGEST for env_steps in reached):
        raise UserError(f"{folder.metrics}: not every row has its env_steps.\n  Remove the others, then try again.")
    finished = folder.status.state == "finished"
    come = length if finished else min(max(int(max(reached)), 1), length)
    config.env_steps = min(asked or length, come)
    return finished and config.env_steps == length


def threads_then(then: dict[str, Any], configured: int | None) -> int | None:
    """As many threads as the run had, as far as it tells; None leaves it to this machine. UserError for no number."""
    numbers = then.get("numerics")
    told = numbers.get("threads", configured) if isinstance(numbers, dict) else configured
    if told is not None and not THREADS.holds(told):
        raise UserError(f"run.json: numerics.threads cannot be {told!r:.80}.\n  valid: {THREADS}\n  Restore the file.")
    return None if told is None else int(told)


def place(folder: RunFolder, options: Options, env_steps: int | None) -> Path:
    """Where the new run goes: not below the old one, where it would pass for one more seed, or a stranger's be ours."""
    source = folder.path.resolve()
    name = Path(short_name(source))
    short = name if env_steps is None else name.with_name(f"{name.name}-to-{env_steps}")
    out = options.out or Path("reproductions") / short
    if out.resolve().is_relative_to(source) or source.is_relative_to(out.resolve()):
        raise UserError(
            f"out={out} cannot be the run itself, nor inside or around it.\n"
            "  valid: another folder; if not given, one below reproductions/"
        )
    return out


def described(folder: RunFolder, then: dict[str, Any]) -> RunRequest:
    """How the person asked who trained it first."""
    who = identity(folder)
    choices = {
        printable(group, keep=""): printable(choice, keep="") for group, choice in then.get("choices", {}).items()
    }
    return RunRequest(label=who.label, overrides=list(who.overrides), choices=choices)
