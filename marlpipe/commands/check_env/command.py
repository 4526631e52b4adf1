"""`marlpipe check_env`: plays a world at random and checks what it promises."""

import click

from marlpipe.commands.command_line.parameters import EPISODES, Number, device, overrides
from marlpipe.commands.command_line.verb import verb
from marlpipe.errors import Bound


@verb()
@overrides()
@click.option(
    "--copies", type=Number(Bound(2, 10**5)), default=8, show_default=True, help="How many copies play in one batch."
)
@click.option("--episodes", type=Number(EPISODES), default=2, show_default=True, help="Episodes of each copy.")
@device()
def command(overrides: tuple[str, ...], copies: int, episodes: int, device: str) -> int:
    """Plays a world with random actions, and checks what it promises.

    OVERRIDES choose the world: env=ENV and its keys, such as env.n_agents=5; seed=SEED is that of worlds and actions.
    docs/environments.md explains the promises.

    \b
    Exit status: 0 if the world keeps all promises, 1 if it does not, and 2 if
    there is no such world.
    """
    from marlpipe.config.compose import compose_api, compose_run
    from marlpipe.config.folder import config_folder
    from marlpipe.config.heavy_imports import heavy_imports
    from marlpipe.config.naming import register_resolvers

    register_resolvers()
    with compose_api(config_folder()):
        config = compose_run(overrides, config_folder())
    with heavy_imports():  # of torch, once it is known that there is such a world
        from marlpipe.commands.check_env.verdicts import check_world

    return check_world(config, copies=copies, episodes=episodes, device=device)
