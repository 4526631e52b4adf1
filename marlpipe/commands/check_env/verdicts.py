"""Checks a world of the config and prints the verdicts."""

import torch
from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marlpipe.commands.check_env.check import Report, check
from marlpipe.commands.check_env.recording import Trial
from marlpipe.commands.command_line.device import usable
from marlpipe.config.build import build_env
from marlpipe.config.keys import check_parts
from marlpipe.config.kinds import check_value
from marlpipe.config.schema import SEED
from marlpipe.runs.terminal import console

COLOURS = {"ok": "green", "failed": "bold red", "skipped": "yellow"}


def check_world(config: DictConfig, *, copies: int, episodes: int, device: str) -> int:
    """Builds the world, plays it and prints the verdicts; 1 if a promise is broken, else 0.

    Args:
        config: of a run, for its world and seed.
        copies: played in one batch.
        episodes: of each copy.
        device: as torch calls it.

    Raises:
        UserError: the world cannot be built, or there is no such device.
    """
    check_value("seed", config.seed, SEED)
    check_parts(OmegaConf.to_container(config.env, resolve=True), "env")
    env, where = build_env(config), usable(device)
    report = check(env, copies=copies, episodes=episodes, seed=config.seed, device=where)
    console().print(shown(report, config.hydra.runtime.choices.env))
    for remark in getattr(env, "remarks", []):
        console().print(f"note: {remark}", style="yellow", markup=False, highlight=False)
    return int(any(verdict.failures for verdict in report.verdicts))


def shown(report: Report, env: str) -> RenderableType:
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
