"""Made-up results."""

from collections.abc import Sequence

from benchmarks.results import Outcome, Results, Series

HARDWARE = {"cpu": "a processor", "cores": 2, "gpus": [], "memory_gib": 8.0}


def results(
    costs: Sequence[float], *, name: str = "update", floor: Sequence[float] = (2.0,) * 4, amount: float = 1.0
) -> Results:
    """One section with one measurement, its floor, and some bytes."""
    series = {
        name: Series(costs, {"floor": "floor"}, amount, "s", ""),
        "floor": Series(list(floor[: len(costs)]), {}, amount, "s", ""),
        "replay": Series([100.0] * len(costs), {}, 1.0, "B", ""),
    }
    machine = {"hardware": HARDWARE, "date": "2026-11-22"}
    return Results(1, machine, {"updates": Outcome("one update", None, series)})
