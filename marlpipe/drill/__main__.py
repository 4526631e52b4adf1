"""`python -m marlpipe.drill`."""

from marlpipe.drill.command import run
from marlpipe.endings import ending


def main() -> None:
    """Runs the command line and exits, as `ending` says."""
    ending(run, stopped="What the drill started has been ended.")


if __name__ == "__main__":
    main()
