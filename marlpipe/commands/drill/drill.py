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

from marlpipe.commands.drill.sessions import Preempted, Session, Signalled, training
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder


def drill(overrides: Sequence[str], *, kills: int, by: str, kill_seed: int, out: Path | None) -> int:
    """0 if the killed run ended equal to the whole one, else 1.

    Args:
        overrides: of the run.
        kills: how many.
        by: the way to kill, or "all" of them in turn.
        kill_seed: of the random times of the kills.
        out: the folder of both runs, which stay; None for a temporary one, which stays if they differ.

    Raises:
        UserError: the run cannot be trained, or does not resume.
    """
    register_resolvers()
    root = Path(out or tempfile.mkdtemp(prefix="marlpipe-drill-")).absolute()
    console = Console(highlight=False, soft_wrap=True)
    chance = random.Random(kill_seed)

    whole_asked, killed_asked = ([*overrides, f"paths.runs={root / name}"] for name in ("whole", "killed"))
    (whole_path,), (killed_path,) = (
        planned_folders(asked, config_folder(), sweep=False) for asked in (whole_asked, killed_asked)
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
    chosen = list(ways.values()) if by == "all" else [ways[by]]
    for number, way in enumerate(islice(cycle(chosen), kills), start=1):
        way.start(killed_asked, killed)
        time.sleep(chance.uniform(0, 2 * lasted / kills))
        ended_itself = way.over()
        way.strike()
        at = f"{killed.status.env_steps:,} of {killed.status.total_env_steps or 0:,} env steps"
        if ended_itself:
            console.print(f"  {number} of {kills}: the run has ended by itself before {way.name}, at {at}")
            break
        console.print(f"  {number} of {kills}: killed by {way.name} at {at}")
    console.print("training to the end")
    if training(killed_asked).wait():
        raise UserError(
            f"the killed run does not resume: {killed.status.reason or 'see above'}\n  its folder: {killed.path}"
        )

    from marlpipe.commands.drill.verdict import departures  # imports torch

    found = departures(whole, killed)
    for part in found:
        console.print(f"  differs: {part}", style="red")
    if found:
        console.print(f"The interrupted run is NOT equal to the whole one. Both are kept below {root}")
        console.print("  Please report it, with both folders.")
        return 1
    console.print("The interrupted run is equal to the whole one, to the last bit: parameters, optimisers, replay,")
    console.print(f"generators, schedules, {len(whole.read_metrics())} rows of metrics, tables, best policy.")
    if out is None:
        shutil.rmtree(root, ignore_errors=True)
    return 0
