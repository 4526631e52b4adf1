"""`python -m benchmarks.check`: lists what got slower since the last committed results with as many threads.

Measures again, or reads a file that `make bench` wrote. Exits with 1 if anything got slower by more than the noise.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison import Comparison, compare, other_machine
from benchmarks.options import parser
from benchmarks.results import described, last_committed, read
from benchmarks.suite import SECTIONS, measure
from benchmarks.tables import of_changes, on_screen
from marlpipe.commands.command_line.ending import exit_with


def run(arguments: Sequence[str]) -> int:
    """Compares with the last committed results, if there are any."""
    options = parser("benchmarks.check", __doc__, SECTIONS)
    options.add_argument("file", nargs="?", type=Path, help="results to compare (default: measure now)")
    asked = options.parse_args(arguments)
    console = on_screen()
    given = read(asked.file) if asked.file else None
    threads = given.threads if given else asked.threads
    committed = last_committed(threads)
    if committed is None:
        console.print(f"No results of {threads} threads are committed yet: `make bench`, then commit its file.")
        return 0
    before = read(committed)
    console.print(f"compared with {committed}, of {before.machine['date']}", style="dim", highlight=False)
    if differing := other_machine(before.machine, given.machine if given else described()):
        console.print(
            f"That was another machine ({differing}), so the two are not comparable: `make bench`, then commit."
        )
        return 0
    comparison = compare(before, given or measure(asked, console))
    for verdict in ("slower", "faster", "too few repetitions"):
        if changes := comparison.having(verdict):
            console.print(of_changes(verdict, changes))
    console.print(summary(comparison), highlight=False)
    return int(bool(comparison.having("slower")))


def summary(comparison: Comparison) -> str:
    """A line of counts, and a line for each name that is on one side only."""
    counts = ", ".join(
        f"{len(comparison.having(verdict))} {verdict}"
        for verdict in ("slower", "faster", "same", "too few repetitions")
    )
    lines = [f"{len(comparison.changes)} compared: {counts}"]
    lines += [f"new, or measured differently than before: {same.section}, {same.name}" for same in comparison.new]
    lines += [f"not measured any more: {same.section}, {same.name}" for same in comparison.gone]
    return "\n".join(lines)


if __name__ == "__main__":
    exit_with(run)
