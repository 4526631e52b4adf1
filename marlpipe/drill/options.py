"""What can be typed behind `python -m marlpipe.drill`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from marlpipe.bound import Bound
from marlpipe.errors import UserError, unknown

HELP = """\
python -m marlpipe.drill [key=value …]

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
