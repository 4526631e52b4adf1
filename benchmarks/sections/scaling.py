"""The cost of one agent among 5 to 1000, with as many sequences in each batch."""

from functools import partial

from benchmarks.floors import gru_loop, matrix_products
from benchmarks.measurement import Measurement, Section, timed
from benchmarks.sections.gradient_steps import update

ALGORITHMS = ("lomaq", "qmix")
AGENTS = (5, 15, 100, 1000)
BASELINE = 15  # agents
SEQUENCES, STEPS = 3000, 25  # of all agents and episodes together
LOOP, FLOOR = "GRUCell loop", "matrix products"


def section() -> Section:
    """Agent-steps per second of an update; ratios are per agent-step."""
    measurements = {
        named(algo, agents): Measurement(
            timed(partial(update, algo, agents=agents, steps=STEPS, batch=SEQUENCES // agents)),
            {LOOP: LOOP, FLOOR: FLOOR} | ({} if agents == BASELINE else {f"{BASELINE} agents": named(algo, BASELINE)}),
            amount=SEQUENCES * STEPS,
        )
        for algo in ALGORITHMS
        for agents in AGENTS
    }
    loop, floor = partial(gru_loop, SEQUENCES, STEPS), partial(matrix_products, [SEQUENCES] * STEPS)
    measurements[LOOP] = Measurement(timed(loop), {FLOOR: FLOOR}, amount=SEQUENCES * STEPS)
    measurements[FLOOR] = Measurement(timed(floor), amount=SEQUENCES * STEPS)
    title = f"one update of more and more agents: {SEQUENCES} episodes · agents, {STEPS} env steps"
    return Section(title, measurements, rounds=5, counted="agent-steps")


def named(algo: str, agents: int) -> str:
    return f"{algo}, {agents} agents"
