"""One update of every algorithm."""

from functools import partial

from benchmarks.floors import gru_loop, gru_sequence, matrix_products
from benchmarks.measurement import Measurement, Section, timed
from benchmarks.sections.gradient_steps import update
from benchmarks.tasks import AGENTS, EPISODES, STEPS
from marlpipe.config.folder import config_folder, groups

BASELINE = "qmix"
SEQUENCES = AGENTS * EPISODES
LOOP, WHOLE, FLOOR = "GRUCell loop", "nn.GRU", "matrix products"


def section() -> Section:
    """Seconds of a training step with all its gradient steps."""
    algorithms = sorted(groups(config_folder())["algo"], key=lambda name: name != BASELINE)
    beside = {LOOP: LOOP, WHOLE: WHOLE, FLOOR: FLOOR, BASELINE: BASELINE}
    measurements = {
        algo: Measurement(
            timed(partial(update, algo, agents=AGENTS, steps=STEPS, batch=EPISODES)),
            beside if algo != BASELINE else {heading: name for heading, name in beside.items() if name != BASELINE},
        )
        for algo in algorithms
    }
    measurements[LOOP] = Measurement(timed(partial(gru_loop, SEQUENCES, STEPS)), {FLOOR: FLOOR})
    measurements[WHOLE] = Measurement(timed(partial(gru_sequence, SEQUENCES, STEPS)), {FLOOR: FLOOR})
    measurements[FLOOR] = Measurement(timed(partial(matrix_products, [SEQUENCES] * STEPS)))
    return Section(
        f"one update: {AGENTS} carts, {EPISODES} full episodes of {STEPS} env steps, 64 units", measurements, rounds=3
    )
