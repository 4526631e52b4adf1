"""Seconds of training to the return of a paper's figure, start-up aside: what users wait for."""

from collections.abc import Callable
from itertools import count

from benchmarks.measurement import Measurement, Section
from benchmarks.sections.training import rows_of
from marlpipe.launch.search.objectives import MinutesTo
from marlpipe.runs.metrics import EVAL_RETURN

# Each with the return, and the seconds of its authors' code: env steps of its figure over the env steps per second that
# were measured on two cores
TASKS = {
    "lomaq, 15 carts": (("algo=lomaq", "+experiment=fast/lomaq_fig5_cartpole"), 2870.0, "12 300 to 15 800 s"),
    "lomaq, navigation": (("algo=lomaq", "+experiment=fast/lomaq_fig5_navigation"), 535.0, "not measured"),
    "qpro, p = -2": (
        ("algo=qpro", "env=predator_prey_p2", "+experiment=fast/qpro_fig1_predator_prey"),
        30.0,
        "6 140 s (WQMIX's code, 350k env steps at 57 a second)",
    ),
}


def section() -> Section:
    """A round is another seed: their median is that of three seeds."""
    return Section(
        "training to a paper's return, a seed per repetition",
        {
            f"{name}, to {threshold:g}": Measurement(seconds_to(threshold, *overrides), remark=f"its code {published}")
            for name, (overrides, threshold, published) in TASKS.items()
        },
        rounds=3,
        warm_up=False,
    )


def seconds_to(threshold: float, *overrides: str) -> Callable[[], float]:
    """Trains the next seed, from 0 on, and returns when an evaluation first reaches the return.

    A run that never does counts twice its own length, as in a search for it.
    """
    seeds = count()

    def once() -> float:
        rows = rows_of(*overrides, f"seed={next(seeds)}")
        [score] = MinutesTo(threshold)([row for row in rows if EVAL_RETURN in row])
        return -60 * score

    return once
