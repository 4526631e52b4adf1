"""Whether something got slower than it was, by more than the noise of both measurements."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from benchmarks.results import Outcome, Results

FEWEST = 3  # repetitions that show any noise
DRIFT = 1.05  # factor of a ratio from one process to the next, which no repetition inside one of them shows

Verdict = Literal["slower", "faster", "same", "too few repetitions"]


class Same(NamedTuple):
    """All that makes two measurements of two files the same one. `title` is the section's, which has the sizes."""

    section: str
    title: str
    name: str
    amount: float
    beside: str  # the heading of the ratio that is compared; nothing where the cost itself is


class Change(NamedTuple):
    """The median ratio, or cost, then and now. `noise`: a factor within which they may differ with nothing changed."""

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
    """Of all sections that were measured now; the greatest changes for the worse first."""

    changes: list[Change]
    new: list[Same]  # not measured before, or not in the same way
    gone: list[Same]

    def having(self, verdict: Verdict) -> list[Change]:
        return [change for change in self.changes if change.verdict == verdict]


def compare(before: Results, now: Results) -> Comparison:
    """Ratios to what ran in the same minutes, since the machine itself is never as fast as it was."""
    today = ratios(now.sections)
    then = ratios({name: outcome for name, outcome in before.sections.items() if name in now.sections})
    changes = [change(same, then[same], today[same]) for same in today if same in then]
    return Comparison(
        sorted(changes, key=lambda change: -change.factor),
        new=[same for same in today if same not in then],
        gone=[same for same in then if same not in today],
    )


def ratios(sections: Mapping[str, Outcome]) -> dict[Same, list[float]]:
    """Of every measurement that is held beside another, the first ratio; of bytes, how many. Floors have neither."""
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
    """Slower or faster is what differs by more than half the range of either's repetitions, and the drift."""
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
    """How two descriptions of a machine differ in what speed depends on; nothing if they do not."""
    differing = [key for key in ("cpu", "cores", "gpus") if before["hardware"][key] != now["hardware"][key]]
    return ", ".join(f"{key} {before['hardware'][key]}, now {now['hardware'][key]}" for key in differing)
