"""Whether something got slower than it was, by more than the noise of both measurements."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from benchmarks.results import Outcome, Results

FEWEST = 3  # repetitions that show any noise
DRIFT = 1.05  # factor of a ratio from one process to the next, which repetitions inside one process do not show

Verdict = Literal["slower", "faster", "same", "too few repetitions"]


class Same(NamedTuple):
    """The key by which measurements of two files are compared. `title` is the section's, which has the sizes."""

    section: str
    title: str
    name: str
    amount: float
    beside: str  # heading of the ratio that is compared; empty where the cost itself is


class Change(NamedTuple):
    """The median ratio or cost, before and now. `noise`: factor by which they may differ without a change of code."""

    of: Same
    before: float
    now: float
    noise: float
    verdict: Verdict

    @property
    def factor(self) -> float:
        """How many times as slow as before, or as large."""
        return self.now / self.before


class Comparison(NamedTuple):
    """The sections that were measured now, worst change first."""

    changes: list[Change]
    new: list[Same]  # not measured before, or not in the same way
    gone: list[Same]

    def having(self, verdict: Verdict) -> list[Change]:
        return [change for change in self.changes if change.verdict == verdict]


def compare(before: Results, now: Results) -> Comparison:
    """Compares ratios to references of the same minutes, since the machine's own speed drifts."""
    today = ratios(now.sections)
    then = ratios({name: outcome for name, outcome in before.sections.items() if name in now.sections})
    changes = [change(same, then[same], today[same]) for same in today if same in then]
    return Comparison(
        sorted(changes, key=lambda change: -change.factor),
        new=[same for same in today if same not in then],
        gone=[same for same in then if same not in today],
    )


def ratios(sections: Mapping[str, Outcome]) -> dict[Same, list[float]]:
    """The first ratio of every measurement that has one, else its bytes. Floors have neither."""
    found = {}
    for section, outcome in sections.items():
        for name, series in outcome.series.items():
            same = Same(section, outcome.title, name, series.amount, next(iter(series.beside), ""))
            if same.beside:
                found[same] = outcome.ratios(name, same.beside)
            elif series.unit == "B":
                found[same] = series.per_amount
    return found


def change(same: Same, then: Sequence[float], today: Sequence[float]) -> Change:
    """Slower or faster: a difference of more than half the range of either's repetitions, and more than the drift."""
    noise = max(DRIFT, half_range(then) * half_range(today))
    before, now = median(then), median(today)
    verdict: Verdict = "same"
    if min(len(then), len(today)) < FEWEST:
        verdict = "too few repetitions"
    elif now / before > noise:
        verdict = "slower"
    elif before / now > noise:
        verdict = "faster"
    return Change(same, before, now, noise, verdict)


def half_range(values: Sequence[float]) -> float:
    """The factor from the middle of positive values, on a logarithmic scale, to the least and the greatest."""
    return math.sqrt(max(values) / min(values))


def other_machine(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The differences between two machines that affect speed; empty if there are none."""
    differing = [key for key in ("cpu", "cores", "gpus") if before["hardware"][key] != now["hardware"][key]]
    return ", ".join(f"{key} {before['hardware'][key]}, now {now['hardware'][key]}" for key in differing)
