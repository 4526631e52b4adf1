"""Reads or composes two sides, and prints what differs."""

import os
from pathlib import Path

from marlpipe.commands.diff_config.comparison import comparison
from marlpipe.commands.diff_config.sides import of_command, of_run
from marlpipe.config.compose import compose_api
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.runs.terminal import console


def print_differences(*typed: str) -> int:
    """UserError for what is neither a run nor the overrides of one."""
    register_resolvers()
    with compose_api(config_folder()):
        a, b = (of_run(Path(side)) if os.path.exists(side) else of_command(side) for side in typed)
    console().print(comparison(a, b), crop=False)
    return 0
