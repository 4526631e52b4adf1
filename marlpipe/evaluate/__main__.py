"""`python -m marlpipe.evaluate run=FOLDER`."""

import torch

from marlpipe.endings import ending
from marlpipe.evaluate.command import run


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    torch.set_num_threads(1)  # acting is many small steps: more threads would mostly wait for each other
    ending(run)


if __name__ == "__main__":
    main()
