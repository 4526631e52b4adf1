"""The command line: looks at all runs, once or again and again, and shows them."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from marlpipe.commands.status.next_step import commands, missing
from marlpipe.commands.status.table import below, table
from marlpipe.errors import UserError, unknown
from marlpipe.runs.display import COLOURS, summary
from marlpipe.runs.find import find_folders
from marlpipe.runs.standing import RunStanding, standings

HELP = """\
python -m marlpipe status FOLDER [FOLDER…] [--watch | --json] [--state STATE,…]

How each run in and below some folders stands, as its files, its lock and Slurm tell. It changes nothing.

  --watch           look again every few seconds, until all runs have ended or Ctrl-C; the runs go on after that
  --json            one JSON document, for scripts
  --state STATE,…   only runs in these states, such as --state failed,lost; the summary still counts all

  queued        waits: in Slurm, or for a process of its grid to end
  running       a process trains it
  finished
  failed        by an error, which is told below the table
  interrupted   asked to stop, with a checkpoint
  lost          ended without a word: killed, its machine went down, or its job was cancelled before it began
  refused       a file of it cannot be read, or leads out of its folder

Beside them: the last evaluation's return, and how long ago the run gave a last sign of life.
The command that started the runs, issued again, completes what is missing and leaves alone what is done.

Exit status, of all runs together:
  0   all are finished
  1   none is queued or running any more, and some are failed, interrupted, lost or refused
  2   there is no such folder or option
  3   some are queued or running
"""
FLAGS = ("--watch", "--json", "--state")


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    folders: list[Path]
    watch: bool = False
    json: bool = False
    states: frozenset[str] = frozenset(COLOURS)


def parsed(arguments: Sequence[str]) -> Options:
    """UserError for an option or a state that does not exist, and for no folder at all."""
    flags, folders, states = set(), [], frozenset(COLOURS)
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if not flag.startswith("-"):
            folders.append(Path(word))
        elif flag not in FLAGS or (equals and flag != "--state"):
            raise unknown("the option", word, FLAGS)
        else:
            flags.add(flag)
            if flag == "--state":
                states = frozenset(map(_state, (value if equals else next(words, "")).split(",")))
    if not folders:
        raise UserError("which runs?\n  next: give a folder of runs, such as multirun/, or of one run; see --help")
    if {"--watch", "--json"} <= flags:
        raise UserError("--watch and --json exclude each other.\n  next: ask with --json again and again")
    return Options(folders=folders, watch="--watch" in flags, json="--json" in flags, states=states)


def _state(name: str) -> str:
    if name not in COLOURS:
        raise unknown("the state", name, COLOURS)
    return name


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
    looks = watch(options, console) if options.watch else standings(find_folders(options.folders))
    if options.json:
        print(json.dumps(document(looks, options.states), indent=2, allow_nan=False))
    else:
        for part in view(looks, options.states, console.width):
            console.print(part, soft_wrap=isinstance(part, Text))
    return exit_status(looks)


def watch(options: Options, console: Console, every_s: float = EVERY_S) -> list[RunStanding]:
    """Shows the runs until all have ended. Without a terminal, a line whenever the summary has changed."""
    told = ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            looks = standings(find_folders(options.folders))
            if not any(one.state in MOVING for one in looks):
                live.transient = True  # all of it comes next
                return looks
            if console.is_terminal:
                live.update(Group(*view(looks, options.states, console.width, console.height)), refresh=True)
            elif (now := summary([one.records.status for one in looks], [one.state for one in looks])).plain != told:
                told = now.plain
                console.print(now, soft_wrap=True)
            time.sleep(every_s)


def view(
    looks: Sequence[RunStanding], states: frozenset[str], width: int, height: int | None = None
) -> list[RenderableType]:
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


def document(looks: Sequence[RunStanding], states: frozenset[str]) -> dict[str, Any]:
    """The same for scripts; `commands` complete what is missing."""
    return {
        "runs": [_entry(one) for one in looks if one.state in states],
        "counts": {state: sum(one.state == state for one in looks) for state in COLOURS},
        "commands": commands(missing(looks)),
    }


def exit_status(looks: Sequence[RunStanding]) -> int:
    """As `HELP` says."""
    states = {one.state for one in looks}
    return 3 if states & MOVING else int(states != {"finished"})


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
