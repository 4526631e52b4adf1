"""Trains, kills, trains on, and compares."""

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console

from marlpipe.commands.drill.sessions import Preempted, Session, Signalled, end_all, training
from marlpipe.commands.drill.verdict import departures
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import Bound, UserError, unknown
from marlpipe.runs.folder import RunFolder

HELP = """\
python -m marlpipe drill [key=value …]

Trains a small run, and the same once more while killing it at random moments: by SIGTERM, by SIGKILL, and by SIGUSR2
through submitit, as a cluster does before it takes a node away. Every time the same command goes on. At the end both
are compared: parameters, optimisers, replay, generators, schedules, recorded rows and best policy have to be equal to
the last bit. No cluster is needed; it takes about two minutes.

  kills=6        how often
  moments=0      the seed of the random moments
  by=all         or only one of sigterm, sigkill, sigusr2
  out=FOLDER     where the runs lie, and stay; if not given, in a temporary folder, which stays if they differ

All else is what `python -m marlpipe` takes for one run, as in algo=qpro env=predator_prey env_steps=5000. Preset is

  {preset}

The exit status is 0 if both are equal, 1 if they differ.
"""
PRESET = (
    *("env_steps=8000", "evaluation.every_env_steps=800", "evaluation.episodes=4", "record_every_env_steps=200"),
    *("profile.replay_episodes=64", "profile.batch_episodes=16", "checkpoint_minutes=0.02", "threads=1"),
    *("trainer=cpu", "logger=none"),
)
WAYS = ("all", "sigterm", "sigkill", "sigusr2")
KILLS, MOMENTS = Bound(1, 1000), Bound(0, 2**31)


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    kills: int = 6
    moments: int = 0
    by: str = "all"
    out: str | None = None
    overrides: list[str] = field(default_factory=list)


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for a number that cannot be."""
    own: dict[str, str] = {}
    overrides = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in ("kills", "moments", "by", "out"):
            own[key] = value
        else:
            overrides.append(argument)
    numbers = {
        key: _number(key, own[key], bound) for key, bound in (("kills", KILLS), ("moments", MOMENTS)) if key in own
    }
    if own.get("by", "all") not in WAYS:
        raise unknown("by: the way to kill", own["by"], WAYS)
    return Options(**numbers, by=own.get("by", "all"), out=own.get("out"), overrides=overrides)


def _number(key: str, value: str, bound: Bound) -> int:
    with suppress(ValueError):
        if bound.holds(int(value)):
            return int(value)
    raise UserError(f"{key}={value} is not possible.\n  valid: {bound}")


def run(arguments: Sequence[str]) -> int:
    """The command line. UserError for what cannot be trained."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP.format(preset="\n  ".join(PRESET)), end="")
        return 0
    try:
        return drill(parsed(arguments))
    finally:
        end_all()


def drill(options: Options) -> int:
    """0 if the killed run came to the same as the whole one, else 1."""
    register_resolvers()
    out = Path(options.out or tempfile.mkdtemp(prefix="marlpipe-drill-")).absolute()
    console = Console(highlight=False, soft_wrap=True)
    chance = random.Random(options.moments)

    asked = [*PRESET, *options.overrides]
    whole_asked, killed_asked = ([*asked, f"paths.runs={out / name}"] for name in ("whole", "killed"))
    (whole_path,), (killed_path,) = (
        planned_folders(overrides, config_folder(), sweep=False) for overrides in (whole_asked, killed_asked)
    )
    whole, killed = RunFolder(whole_path), RunFolder(killed_path)
    console.print("training without interruption")
    if training(whole_asked).wait():
        raise UserError(f"the run does not train by itself: {whole.status.reason or 'see above'}")
    lasted = whole.status.wall_s or 0.0
    console.print(f"  {whole.status.env_steps:,} env steps in {lasted:.1f} s")

    ways: dict[str, Session] = {
        "sigterm": Signalled(signal.SIGTERM),
        "sigkill": Signalled(signal.SIGKILL),
        "sigusr2": Preempted(),
    }
    chosen = list(ways.values()) if options.by == "all" else [ways[options.by]]
    for number, way in enumerate(islice(cycle(chosen), options.kills), start=1):
        way.start(killed_asked, killed)
        time.sleep(chance.uniform(0, 2 * lasted / options.kills))
        ended_itself = way.over()
        way.strike()
        at = f"{killed.status.env_steps:,} of {killed.status.total_env_steps or 0:,} env steps"
        if ended_itself:
            console.print(f"  {number} of {options.kills}: the run has ended by itself before {way.name}, at {at}")
            break
        console.print(f"  {number} of {options.kills}: killed by {way.name} at {at}")
    console.print("training to the end")
    if training(killed_asked).wait():
        raise UserError(
            f"the killed run does not go on: {killed.status.reason or 'see above'}\n  its folder: {killed.path}"
        )

    found = departures(whole, killed)
    for part in found:
        console.print(f"  differs: {part}", style="red")
    if found:
        console.print(f"The interrupted run is NOT equal to the whole one. Both are kept below {out}")
        console.print("  Please report it, with both folders.")
        return 1
    console.print("The interrupted run is equal to the whole one, to the last bit: parameters, optimisers, replay,")
    console.print(f"generators, schedules, {len(whole.read_metrics())} rows of metrics, tables, best policy.")
    if options.out is None:
        shutil.rmtree(out, ignore_errors=True)
    return 0
