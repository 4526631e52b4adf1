"""What everything that shows runs has in common: colours, who comes first, numbers, and all runs in one line."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from marlpipe.records.durations import duration
from marlpipe.records.status import Status

COLOURS = {
    "queued": "dim",
    "running": "cyan",
    "finished": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "lost": "bold yellow",
    "refused": "bold red",
}
# who stays when lines are short
URGENCY = ["running", "failed", "refused", "lost", "interrupted", "queued", "finished"]


def summary(statuses: Sequence[Status], states: Sequence[str] | None = None) -> Text:
    """How many runs are in each state, how fast they are together, and about when all will have ended.

    Args:
        states: of each run, where more is known than its status file tells.
    """
    known = list(zip([status.state for status in statuses] if states is None else states, statuses, strict=True))
    counts = Counter(state for state, _ in known)
    told = ", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state])
    line = Text(f"{len(known)} run{'s' * (len(known) != 1)}: {told}")
    speed = sum(status.env_steps_per_s or 0.0 for state, status in known if state == "running")
    totals = [status.total_env_steps for status in statuses if status.total_env_steps]
    if speed > 0 and totals:
        usual = sum(totals) / len(totals)  # a run that has not started has not said yet how long it is
        open_runs = [status for state, status in known if state in ("queued", "running")]
        env_steps = sum((status.total_env_steps or usual) - status.env_steps for status in open_runs)
        line.append(f"; {speed:,.0f} env steps/s, about {duration(env_steps / speed)} left")
    return line


def rounded(value: float | int | None) -> str:
    """Four digits; a dash for what is not known."""
    return "–" if value is None else f"{value:,.4g}"
