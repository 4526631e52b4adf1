"""`marlpipe bandit`: Multi-OFUL on linear bandits."""

from marlpipe.commands.command_line.parameters import overrides
from marlpipe.commands.command_line.verb import verb
from marlpipe.config.folder import config_folder, groups


def config() -> dict[str, str]:
    """What can be chosen and set."""
    folder = config_folder()
    _, _, keys = (folder / "bandit.yaml").read_text(encoding="utf-8").partition("\n\n")
    return {
        "Partitions": ", ".join(groups(folder)["partition"]),
        "Keys and their defaults; and those of conf/env/linear_bandit.yaml, as env.KEY": keys,
    }


@verb(sections=config, stopped="The same command starts over; what was finished is in its folder.")
@overrides("bandit")
def command(overrides: tuple[str, ...]) -> int:
    """Multi-OFUL plays linear bandits: regret and its bound.

    LOMAQ's Algorithm 1, under each partition of the agents, with the bound of Theorem 1. Several values of a key, with
    commas between them, are played one after another, seeds in one batch:

    \b
      marlpipe bandit partition=singletons,pairs,full seed=0,1,2

    Each setting gets a folder multirun/bandit/PARTITION-HASH, all of them together a table and a figure in
    multirun/bandit/reports. The same command again computes the same again, in seconds.
    """
    from marlpipe.bandit.options import asked
    from marlpipe.config.heavy_imports import heavy_imports

    arms = asked(overrides, config_folder())
    with heavy_imports():  # of torch, once it is known that there are such arms
        from marlpipe.bandit.command import run

    return run(arms)
