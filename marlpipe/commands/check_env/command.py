"""`python -m marlpipe check_env env=…`: plays a world at random, and tells which promises of a world it keeps."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from marlpipe.commands.check_env.check import Report, check
from marlpipe.commands.check_env.recording import Trial
from marlpipe.commands.evaluate.policy import usable
from marlpipe.config.bounds import BOUNDS as OF_RUNS
from marlpipe.config.build import build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.errors import Bound, UserError, check_number

HELP = """\
python -m marlpipe check_env env=ENV [key=value …]

Plays a world with random actions and tells which promises of a world it keeps; docs/environments.md explains them.
The exit status is 0 if it keeps all, 1 if it does not, and 2 if there is no such world.

  env=cartpole   the world, and its keys, such as env.n_agents=5: all that `python -m marlpipe` takes
  copies=8       played side by side
  episodes=2     of each copy
  seed=0         of worlds and actions
  device=cpu     where the world is, as torch calls it
"""
BOUNDS = {"copies": Bound(2), "episodes": Bound(1)}
COLOURS = {"ok": "green", "failed": "bold red", "skipped": "yellow"}
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own


@dataclass(frozen=True, kw_only=True)
class Options:
    """As `HELP` says."""

    copies: int = 8
    episodes: int = 2
    device: str = "cpu"


def run(arguments: Sequence[str]) -> int:
    """Builds the world, plays it and prints the verdicts."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    register_resolvers()
    options, overrides = parsed(arguments)
    with compose_api(config_folder()):
        config = compose_run(overrides, config_folder())
    check_number("seed", config.seed, OF_RUNS["seed"])
    device = usable(options.device)
    report = check(build_env(config), copies=options.copies, episodes=options.episodes, seed=config.seed, device=device)
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    console.print(told(report, config.hydra.runtime.choices.env))
    return int(any(verdict.failures for verdict in report.verdicts))


def parsed(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the rest, which is for the config. UserError for a number that cannot be."""
    own: dict[str, Any] = {}
    overrides = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in BOUNDS:
            if not (value.isdecimal() and BOUNDS[key].holds(int(value))):
                raise UserError(f"{argument} is not possible.\n  valid: {BOUNDS[key]}")
            own[key] = int(value)
        elif equals and key == "device":
            own[key] = value
        else:
            overrides.append(argument)
    return Options(**own), overrides


def told(report: Report, env: str) -> RenderableType:
    """All promises in a table, and below it where they were broken, why some were skipped, and what was played."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"promises of {env}")
    table.add_column("kept?")
    below: list[Text] = []
    for verdict in report.verdicts:
        table.add_row(verdict.promise, Text(verdict.state, style=COLOURS[verdict.state]))
        if verdict.failures:
            below.append(Text(verdict.promise, style=COLOURS["failed"]))
            below += [Text(f"  {failure}") for failure in verdict.failures]
    reasons = dict.fromkeys(verdict.skipped for verdict in report.verdicts if verdict.skipped)
    below += [Text(f"skipped: {reason}") for reason in reasons]
    below += [Text(played(report.trial), style="dim")] if report.trial else []
    return Group(table, *below)


def played(trial: Trial) -> str:
    """How the episodes of several copies ended, and when random numbers were drawn."""
    rounds = trial.recordings[:-1]
    lengths = torch.cat([recording.running.sum(0) for recording in rounds])
    ends = [(recording.timesteps, recording.running[:-1]) for recording in rounds]
    terminated = sum(int((timesteps.terminated & running).sum()) for timesteps, running in ends)
    truncated = sum(int((timesteps.truncated & running).sum()) for timesteps, running in ends)
    drawn = {
        "at resets": any(recording.drew(0) for recording in rounds),
        "in env steps": any(recording.drew(t + 1) for recording in rounds for t in range(len(recording.actions))),
    }
    when = " and ".join(when for when, so in drawn.items() if so)
    return (
        f"{len(lengths)} episodes of {lengths.min()} to {lengths.max()} env steps: {terminated} terminated, "
        f"{truncated} truncated.\n" + (f"Random numbers are drawn {when}." if when else "No random numbers are drawn.")
    )
