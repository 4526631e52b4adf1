"""How runs stand, for a person and for a script, once or again and again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from marlpipe.commands.status.next_step import commands, missing
from marlpipe.commands.status.table import below, table
from marlpipe.runs.display import COLOURS, summary
from marlpipe.runs.find import find_folders
from marlpipe.runs.standing import RunStanding, standings

EVERY_S = 10.0  # between two looks, each of which may ask Slurm
MOVING = {"queued", "running"}


def watch(
    folders: Sequence[Path], states: frozenset[str], console: Console, every_s: float = EVERY_S
) -> list[RunStanding]:
    """Shows the runs until all have ended. Without a terminal, a line whenever the summary has changed."""
    shown = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            runs = standings(find_folders(folders))
            if not any(one.state in MOVING for one in runs):
                live.transient = True  # all of it comes next
                return runs
            if console.is_terminal:
                live.update(Group(*view(runs, states, console.width, console.height)), refresh=True)
            elif (now := summary([one.records.status for one in runs], [one.state for one in runs])).plain != shown:
                shown = now.plain
                console.print(now, soft_wrap=True)
            time.sleep(every_s)


def view(
    runs: Sequence[RunStanding], states: frozenset[str], width: int, height: int | None = None
) -> list[RenderableType]:
    """What a person sees, from top to bottom.

    Args:
        states: of the runs to show.
        width: in columns.
        height: in lines, where not all runs have to be shown.
    """
    chosen = [one for one in runs if one.state in states]
    lower = below(chosen, runs)
    lines = None
    if height is not None:
        wrapped = Console(width=width)
        taken = 4 + sum(len(line.wrap(wrapped, width)) for line in lower)  # with heading, notes, cursor
        lines = max(1, height - taken)
    grid, left_out = table(chosen, width, lines)
    notes = []
    if lines is not None and len(chosen) > lines:
        notes.append(Text(f"and {len(chosen) - lines} runs more", style="dim"))
    if left_out:
        notes.append(Text(f"a wider terminal, a pipe, or --json shows more: {', '.join(left_out)}", style="dim"))
    return [*([grid] if chosen else []), *notes, *lower]


def document(runs: Sequence[RunStanding], states: frozenset[str]) -> dict[str, Any]:
    """The same for scripts; `commands` complete what is missing."""
    return {
        "runs": [_entry(one) for one in runs if one.state in states],
        "counts": {state: sum(one.state == state for one in runs) for state in COLOURS},
        "commands": commands(missing(runs)),
    }


def _entry(one: RunStanding) -> dict[str, Any]:
    status = one.records.status
    return {
        "folder": str(one.records.folder.path),
        "env": one.records.identity.env if one.records.identity else None,
        "label": one.records.identity.label if one.records.identity else None,
        "seed": one.records.identity.seed if one.records.identity else None,
        "state": one.state,
        "env_steps": status.env_steps,
        "total_env_steps": status.total_env_steps,
        "eval_return": status.eval_return,
        "env_steps_per_s": status.env_steps_per_s,
        "left_s": one.left_s,
        "host": status.host,
        "job": one.job,
        "seen": one.seen.isoformat(timespec="seconds") if one.seen else None,
        "reason": one.reason,
    }
