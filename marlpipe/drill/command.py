"""Trains, kills, trains on, and compares."""

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console

from marlpipe.configuration import config_folder
from marlpipe.drill.options import HELP, PRESET, Options, parsed
from marlpipe.drill.sessions import Preempted, Session, Signalled, end_all, training
from marlpipe.drill.verdict import departures
from marlpipe.errors import UserError
from marlpipe.grid import planned_folders
from marlpipe.naming import register_resolvers
from marlpipe.records.folder import RunFolder


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
