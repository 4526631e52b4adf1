"""`python -m marlpipe.reproduce FOLDER`."""

import os

# before torch is loaded: on a machine that others use too, threads that wait by spinning cost an order of magnitude
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from marlpipe.endings import ending
from marlpipe.reproduce.command import run


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="The same command goes on where it left off.")


if __name__ == "__main__":
    main()
