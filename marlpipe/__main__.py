"""`python -m marlpipe` and the program `marlpipe`."""

import gc
import os
import sys

# before torch is loaded: on a machine that others use too, threads that wait by spinning cost an order of magnitude
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
gc.disable()  # almost nothing that an import makes is garbage, and looking for it costs a tenth of the start

from marlpipe.commands.command_line.completion import VARIABLE, complete  # noqa: E402
from marlpipe.commands.command_line.ending import exit_with  # noqa: E402
from marlpipe.commands.command_line.verbs import command_line, run  # noqa: E402
from marlpipe.runs.terminal import make_streams_usable  # noqa: E402

gc.freeze()
gc.enable()


def main() -> None:
    """Runs the command line and exits, as `exit_with` says; or answers a shell that completes it."""
    make_streams_usable()
    if VARIABLE in os.environ:
        sys.exit(complete(command_line, "marlpipe"))
    exit_with(run)


if __name__ == "__main__":
    main()
