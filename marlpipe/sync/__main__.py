"""`python -m marlpipe.sync FOLDER [FOLDER…]`."""

from marlpipe.endings import ending
from marlpipe.sync.command import run


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="What was sent stays; issue the same command again to send the rest.")


if __name__ == "__main__":
    main()
