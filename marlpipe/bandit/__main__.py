"""`python -m marlpipe.bandit partition=singletons,pairs,full seed=0,1,2`."""

import torch

from marlpipe.bandit.command import run
from marlpipe.endings import ending


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    torch.set_num_threads(1)  # a round is a few small operations: more threads would mostly wait for each other
    ending(run, stopped="The same command starts over; what was finished is in its folder.")


if __name__ == "__main__":
    main()
