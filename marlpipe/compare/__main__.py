"""`python -m marlpipe.compare FOLDER [FOLDER…]`."""

from marlpipe.compare.command import run
from marlpipe.endings import ending


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="The page that was written stays; the runs themselves go on.")


if __name__ == "__main__":
    main()
