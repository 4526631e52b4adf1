"""The command line: two sides are read or composed, and compared."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from marlpipe.commands.diff_config.comparison import comparison
from marlpipe.commands.diff_config.sides import of_command, of_run
from marlpipe.config.compose import compose_api
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.errors import UserError

HELP = """\
python -m marlpipe diff_config A B

Tells, key by key, what differs between what A comes to and what B comes to. Each of them is one of

  FOLDER            of a run: multirun/ENV/ALGO-HASH/seed=SEED
  group=option      such as algo=qpro, profile=lomaq, +experiment=qpro/fig1_predator_prey
  "key=value …"     in quotes, all that `python -m marlpipe` takes for one run; "" for the defaults

Of two runs, it also compares commit, packages and machine.
The exit status is 0 whether or not they differ, and 2 if A or B cannot be read.
"""
FILE_WIDTH = 140  # columns where the output goes into a file or a pipe, which has no width of its own


def run(arguments: Sequence[str]) -> int:
    """Prints what differs. UserError for what is neither a run nor a command, and for more or fewer than two."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    if len(arguments) != 2:
        raise UserError(
            f"two can be compared, A and B, but {len(arguments)} came.\n"
            '  valid: for example algo=qpro "algo=wqmix env=payoff", more than one word in quotes; see --help'
        )
    register_resolvers()
    with compose_api(config_folder()):
        a, b = (of_run(Path(side)) if os.path.exists(side) else of_command(side) for side in arguments)
    console = Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)
    console.print(comparison(a, b), crop=False)
    return 0
