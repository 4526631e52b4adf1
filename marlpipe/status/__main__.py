"""`python -m marlpipe.status FOLDER [FOLDER…]`."""

from marlpipe.endings import ending
from marlpipe.status.command import run


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="The runs themselves go on.")


if __name__ == "__main__":
    main()
