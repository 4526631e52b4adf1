"""`marlpipe drill`: proof that runs survive what kills them."""

from pathlib import Path

import click

from marlpipe.commands.command_line.parameters import Number, OneOf, out, overrides
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import Bound

PRESET = (
    *("env_steps=8000", "evaluation.every_env_steps=800", "evaluation.episodes=4", "record_every_env_steps=200"),
    *("profile.replay_episodes=64", "profile.batch_episodes=16", "checkpoint_minutes=0.02", "threads=1"),
    *("trainer=cpu", "logger=none"),
)
WAYS = ("all", "sigterm", "sigkill", "sigusr2")


@verb(sections=lambda: {"Preset": "\n".join(PRESET)}, stopped="What the drill started has been ended.")
@overrides()
@click.option("--kills", type=Number(Bound(1, 1000)), default=6, show_default=True, help="How often to kill.")
@click.option(
    "--by", metavar="WAY", type=OneOf(WAYS), default="all", show_default=True, help=f"One of {', '.join(WAYS)}."
)
@click.option(
    "--kill-seed", type=Number(Bound(0, 2**31)), default=0, show_default=True, help="Of the times of the kills."
)
@out("a temporary folder, which stays if they differ")
def command(overrides: tuple[str, ...], kills: int, by: str, kill_seed: int, out: Path | None) -> int:
    """Trains, kills, resumes, and proves that nothing was lost.

    A small run is trained, and the same once more while it is killed at random times: by SIGTERM, by SIGKILL, and by
    SIGUSR2 through submitit, as a cluster does before it takes a node away. Each time the same command resumes it. At
    the end both are compared: parameters, optimisers, replay, generators, schedules, recorded rows and best policy have
    to be equal to the last bit. No cluster is needed; it takes about two minutes.

    OVERRIDES are those of one run, as in algo=qpro env=predator_prey env_steps=5000; they win over the preset.

    \b
    Exit status: 0 if both are equal, 1 if they differ, 2 if the run cannot be
    trained.
    """
    from marlpipe.commands.drill.drill import drill
    from marlpipe.commands.drill.sessions import end_all

    try:
        return drill([*PRESET, *overrides], kills=kills, by=by, kill_seed=kill_seed, out=out)
    finally:
        end_all()
