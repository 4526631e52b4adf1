"""Trains a run again from its folder, and compares both."""

import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from marlpipe.commands.reproduce.changed_conditions import changed_conditions
from marlpipe.commands.reproduce.stored_config_today import stored_config_today
from marlpipe.commands.reproduce.verdict import verdict
from marlpipe.config.differences import whole
from marlpipe.config.naming import arm_hash
from marlpipe.errors import Bound, UserError
from marlpipe.runs.find import run_at
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity, run_record
from marlpipe.runs.path import short_name
from marlpipe.runs.provenance import provenance, users_code
from marlpipe.runs.status import LARGEST
from marlpipe.runs.terminal import console
from marlpipe.runs.text import printable
from marlpipe.training.conditions import environment, numerics
from marlpipe.training.own_code import users_modules
from marlpipe.training.session import RunRequest, train_in

THREADS = Bound(1, 2**12)


def train_again(path: Path, *, out: Path | None, env_steps: int | None, dry_run: bool) -> int:
    """Prints what differs from then, trains, compares: 0 if all is equal to the last bit, 1 if not.

    Args:
        path: of the run.
        out: of the new run; None for one below reproductions/.
        env_steps: the length of the new run; None for that of the run.
        dry_run: only print what differs from then.
    """
    folder = run_at(path)
    config, added = stored_config_today(folder)
    then = run_record(folder)
    whole_run = shorten(config, folder, env_steps)
    config.threads = threads_then(then, config.threads)
    again = RunFolder(place(folder, out, None if whole_run else config.env_steps))
    now = run_record(again) or {
        **provenance(),
        "users_code": users_code(tuple(users_modules(config))),
        "environment": environment(config),
        "numerics": numerics(config),
    }

    shown = console()
    shown.print(changed_conditions(folder, then, now), crop=False)
    if added:
        shown.print(whole(f"Keys that the run did not have, at their defaults: {', '.join(added)}."))
    if dry_run:
        return 0
    done = again.status.state == "finished"
    shown.print(whole(f"{'Was trained again, and is compared anew:' if done else 'Trained again in'} {again.path}"))
    train_in(again, config, request_then(folder, then, config))
    equal, text = verdict(folder, again, whole_run=whole_run)
    shown.print(whole(text), crop=False)
    return 0 if equal else 1


def shorten(config: DictConfig, folder: RunFolder, asked: int | None) -> bool:
    """Sets the length of the new run, and says whether that is the whole of the old one, which may not be finished.

    UserError for an old one that has nothing to compare, and for more than it was to have.
    """
    length = int(config.env_steps)
    if asked is not None and asked > length:
        raise UserError(f"--env-steps={asked} is more than the run was to have.\n  valid: at most {length}")
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
    """The run's number of threads if recorded; None leaves it to this machine. UserError for what is no number."""
    numbers = then.get("numerics")
    threads = numbers.get("threads", configured) if isinstance(numbers, dict) else configured
    if threads is not None and not THREADS.holds(threads):
        raise UserError(
            f"run.json: numerics.threads cannot be {threads!r:.80}.\n  valid: {THREADS}\n  next: restore the file"
        )
    return None if threads is None else int(threads)


def place(folder: RunFolder, out: Path | None, env_steps: int | None) -> Path:
    """The folder of the new run. UserError for one in or around the old one, where it would count as one more seed."""
    source = folder.path.resolve()
    name = Path(short_name(source))
    short = name if env_steps is None else name.with_name(f"{name.name}-to-{env_steps}")
    chosen = out or Path("reproductions") / short
    if chosen.resolve().is_relative_to(source) or source.is_relative_to(chosen.resolve()):
        raise UserError(
            f"--out={chosen} cannot be the run itself, nor inside or around it.\n"
            "  valid: another folder; if not given, one below reproductions/"
        )
    return chosen


def request_then(folder: RunFolder, then: dict[str, Any], config: DictConfig) -> RunRequest:
    """What was asked for when the run was trained first, for the config of the new run."""
    recorded = identity(folder)
    choices = {
        printable(group, keep=""): printable(choice, keep="") for group, choice in then.get("choices", {}).items()
    }
    overrides = list(recorded.overrides)
    return RunRequest(arm=arm_hash(config), label=recorded.label, overrides=overrides, choices=choices)
