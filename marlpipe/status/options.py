"""What can be typed behind `python -m marlpipe.status`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError, unknown
from marlpipe.records.glance import COLOURS

HELP = """\
python -m marlpipe.status FOLDER [FOLDER…] [--watch | --json] [--state STATE,…]

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
