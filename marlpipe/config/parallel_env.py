"""A world of a command line under PettingZoo's parallel API, for other libraries."""

from collections.abc import Sequence

from marlpipe.config.build import build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.envs.parallel_world import ParallelWorld


def parallel_env(overrides: Sequence[str] = (), render_mode: str | None = None) -> "ParallelWorld":
    """The world that a command line would have, as parallel_env(["env=navigation"]). UserError as for a run."""
    register_resolvers()
    with compose_api(config_folder()):
        return ParallelWorld(build_env(compose_run(overrides, config_folder())), render_mode=render_mode)
