"""`python -m marlpipe.diff_config A B`."""

from marlpipe.diff_config.command import run
from marlpipe.endings import ending


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run)


if __name__ == "__main__":
    main()
