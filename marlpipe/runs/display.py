"""How runs are displayed everywhere: durations, numbers, colours, order of states, and a summary line."""

import math
from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from marlpipe.runs.status import Status


def duration(seconds: float | int | None) -> str:
    """A time in its two largest units, such as "2 h 05 min"; a dash where it is unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole // 60 % 60:02d} min"
    return f"{whole // 86400} d {whole // 3600 % 24:02d} h"


def about(seconds: float | int | None) -> str:
    """A time in one unit, rounded by at most about 2 %, such as "75 min"; a dash where it is unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    for limit, length, unit in ((100, 1, "s"), (100 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if round(seconds / length) * length < limit:
            return f"{round(seconds / length)} {unit}"
    return f"{round(seconds / 86400)} d"


COLOURS = {
    "queued": "dim",
    "running": "cyan",
    "finished": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "lost": "bold yellow",
    "refused": "bold red",
}
# which states stay in view when a terminal has few lines
URGENCY = ["running", "failed", "refused", "lost", "interrupted", "queued", "finished"]


def summary(statuses: Sequence[Status], states: Sequence[str] | None = None) -> Text:
    """The number of runs in each state, their total speed, and an estimate of the time left.

    Args:
        statuses: of all runs.
        states: the actual state of each run (see `standing`); None to take those of the status files.
    """
    known = list(zip([status.state for status in statuses] if states is None else states, statuses, strict=True))
    counts = Counter(state for state, _ in known)
    listed = ", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state])
    line = Text(f"{len(known)} run{'s' * (len(known) != 1)}: {listed}")
    speed = sum(status.env_steps_per_s or 0.0 for state, status in known if state == "running")
    totals = [status.total_env_steps for status in statuses if status.total_env_steps]
    if speed > 0 and totals:
        usual = sum(totals) / len(totals)  # the length of a run is unknown until it starts
        open_runs = [status for state, status in known if state in ("queued", "running")]
        env_steps = sum((status.total_env_steps or usual) - status.env_steps for status in open_runs)
        line.append(f"; {speed:,.0f} env steps/s, about {duration(env_steps / speed)} left")
    return line


def rounded(value: float | int | None) -> str:
    """Four significant digits; a dash for an unknown value."""
    return "–" if value is None else f"{value:,.4g}"
