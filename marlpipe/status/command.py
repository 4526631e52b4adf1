"""The command line: looks at all runs, once or again and again, and shows them."""

import json
import sys
import time
from collections.abc import Sequence
from math import ceil
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from marlpipe.records.glance import COLOURS, summary
from marlpipe.records.search import find_folders
from marlpipe.status.look import Look, look
from marlpipe.status.next_step import commands, missing
from marlpipe.status.options import HELP, Options, parsed
from marlpipe.status.table import below, table

EVERY_S = 10.0  # between two looks, each of which may ask Slurm
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own
MOVING = {"queued", "running"}


def run(arguments: Sequence[str]) -> int:
    """Prints how all runs stand; `HELP` says what the number means. UserError for what cannot be looked for."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    looks = watch(options, console) if options.watch else look(find_folders(options.folders))
    if options.json:
        print(json.dumps(document(looks, options.states), indent=2, allow_nan=False))
    else:
        for part in view(looks, options.states, console.width):
            console.print(part, soft_wrap=isinstance(part, Text))
    return exit_status(looks)


def watch(options: Options, console: Console, every_s: float = EVERY_S) -> list[Look]:
    """Shows the runs until all have ended. Without a terminal, a line whenever the summary has changed."""
    told = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            looks = look(find_folders(options.folders))
            if not any(one.state in MOVING for one in looks):
                live.transient = True  # all of it comes next
                return looks
            if console.is_terminal:
                live.update(Group(*view(looks, options.states, console.width, console.height)), refresh=True)
            elif (now := summary([one.told.status for one in looks], [one.state for one in looks])).plain != told:
                told = now.plain
                console.print(now, soft_wrap=True)
            time.sleep(every_s)


def view(looks: Sequence[Look], states: frozenset[str], width: int, height: int | None = None) -> list[RenderableType]:
    """What a person sees, from top to bottom.

    Args:
        states: of the runs to show.
        width: in columns.
        height: in lines, where not all runs have to be shown.
    """
    shown = [one for one in looks if one.state in states]
    lower = below(shown, looks)
    taken = 4 + sum(max(1, ceil(cell_len(line.plain) / width)) for line in lower)  # with heading, notes, cursor
    lines = None if height is None else max(1, height - taken)
    grid, left_out = table(shown, width, lines)
    notes = []
    if lines is not None and len(shown) > lines:
        notes.append(Text(f"and {len(shown) - lines} runs more", style="dim"))
    if left_out:
        notes.append(Text(f"a wider terminal, a pipe, or --json shows more: {', '.join(left_out)}", style="dim"))
    return [*([grid] if shown else []), *notes, *lower]


def document(looks: Sequence[Look], states: frozenset[str]) -> dict[str, Any]:
    """The same for scripts; `commands` complete what is missing."""
    return {
        "runs": [_entry(one) for one in looks if one.state in states],
        "counts": {state: sum(one.state == state for one in looks) for state in COLOURS},
        "commands": commands(missing(looks)),
    }


def exit_status(looks: Sequence[Look]) -> int:
    """As `HELP` says."""
    states = {one.state for one in looks}
    return 3 if states & MOVING else int(states != {"finished"})


def _entry(one: Look) -> dict[str, Any]:
    status = one.told.status
    return {
        "folder": str(one.told.folder.path),
        "env": one.told.who.env if one.told.who else None,
        "label": one.told.who.label if one.told.who else None,
        "seed": one.told.who.seed if one.told.who else None,
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
