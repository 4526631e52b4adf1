"""`python -m benchmarks`: speed relative to floors and plain references, as tables and one JSON file."""

from collections.abc import Sequence

from benchmarks.options import parser
from benchmarks.suite import SECTIONS, measure
from benchmarks.tables import on_screen
from marlpipe.commands.command_line.ending import exit_with


def run(arguments: Sequence[str]) -> int:
    """Measures the selected sections."""
    measure(parser("benchmarks", __doc__, SECTIONS).parse_args(arguments), on_screen())
    return 0


if __name__ == "__main__":
    exit_with(run)
