"""Times as a person says them."""

import math


def duration(seconds: float | int | None) -> str:
    """A time in its two largest units, such as "2 h 05 min"; a dash where it is not known."""
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
    """A time in one unit, within two percent or so of it, such as "75 min"; a dash where it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    for limit, length, unit in ((100, 1, "s"), (100 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if round(seconds / length) * length < limit:
            return f"{round(seconds / length)} {unit}"
    return f"{round(seconds / 86400)} d"
