"""Tables of results and of changes."""

import sys
from collections.abc import Sequence
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Change, Verdict, half_range
from benchmarks.results import Outcome, Unit

FILE_WIDTH = 150  # columns where the output goes into a file or a pipe


def on_screen() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH)


def of_section(outcome: Outcome) -> Table:
    """Median, half the range, minimum, rate at the median, and ratios to the references."""
    made = Table(title=outcome.title, title_justify="left", box=SIMPLE_HEAD)
    headings = list(dict.fromkeys(heading for series in outcome.series.values() for heading in series.beside))
    remarks = any(series.remark for series in outcome.series.values())
    made.add_column("")
    for heading in ("median", "±", "least", *([f"{outcome.counted}/s"] if outcome.counted else [])):
        made.add_column(heading, justify="right")
    for heading in headings:
        made.add_column(f"× {heading}", justify="right")
    if remarks:
        made.add_column("others")
    for name, series in outcome.series.items():
        cells = [
            cost(series.median, series.unit),
            f"{half_range(series.costs) - 1:.0%}",
            cost(series.least, series.unit),
        ]
        if outcome.counted:
            cells.append(f"{series.amount / series.median:,.0f}")
        cells += [
            f"{median(outcome.ratios(name, heading)):.2f}" if heading in series.beside else "" for heading in headings
        ]
        made.add_row(name, *cells, *([series.remark] if remarks else []))
    return made


def cost(value: float, unit: Unit) -> str:
    """Seconds in three digits, or whole megabytes."""
    return f"{value / 1e6:,.0f} MB" if unit == "B" else f"{value:#.3g} s" if value >= 0.1 else f"{1e3 * value:#.3g} ms"


def of_changes(verdict: Verdict, changes: Sequence[Change]) -> Table:
    """Ratios or costs, before and now."""
    made = Table(title=verdict, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("section", "measurement", "relative to"):
        made.add_column(heading)
    for heading in ("before", "now", "change", "noise"):
        made.add_column(heading, justify="right")
    for change in changes:
        numbers = (f"{change.before:,.3g}", f"{change.now:,.3g}", f"{change.factor - 1:+.0%}")
        same = change.of
        made.add_row(same.section, same.name, same.beside, *numbers, f"± {change.noise - 1:.0%}")
    return made
