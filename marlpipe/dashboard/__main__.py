"""`python -m marlpipe.dashboard FOLDER|PROJECT`."""

from marlpipe.dashboard.command import run
from marlpipe.endings import ending


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="What was saved before stays.")


if __name__ == "__main__":
    main()
