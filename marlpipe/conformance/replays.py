"""Promises that take another try: single env steps again where a state is a value, whole episodes where it is not."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from marlpipe.conformance.calls import copied, is_value
from marlpipe.conformance.comparing import at_one_moment, differences
from marlpipe.conformance.failure import Broken, Failure
from marlpipe.conformance.recording import Recording, at_random, record
from marlpipe.conformance.trial import Trial
from marlpipe.types import Observation


def available_actions_are_possible(trial: Trial) -> Iterator[Failure]:
    """At each moment of an episode, every action can be taken by all agents for whom it is available."""
    calls, recording = trial.calls, trial.recordings[0]
    for t, taken in enumerate(recording.actions):
        available = recording.seen.avail_actions[t] & recording.running[t].view(-1, 1, 1)
        for action in range(calls.env.spec.n_actions):
            actions = taken.masked_fill(available[:, :, action], action)
            try:
                calls.step(copied(recording.states[t]), actions, recording.generator(t + 1), t + 1)
            except Broken as stop:
                yield from (failure._replace(field=f"action {action} in {failure.field}") for failure in stop.failures)


def same_state_same_step(trial: Trial) -> Iterator[Failure]:
    """A state says all: from its end to its start, an episode is seen and goes on as it did in the right order."""
    calls, recording = trial.calls, trial.recordings[0]
    n, told = recording.running.shape[1], "as before from this state"
    for t in reversed(range(len(recording.actions))):
        running = recording.running[t : t + 1]
        seen = calls.observe(copied(recording.states[t]), n, t)
        yield from compared(seen, seen_at(recording, t), running, t, told)
        state, actions = copied(recording.states[t]), recording.actions[t].clone()
        after, timestep = calls.step(state, actions, recording.generator(t + 1), t + 1)
        yield from compared(after, recording.states[t + 1], running, t + 1, told)
        yield from compared(timestep, ...)


def copies_do_not_meet(trial: Trial) -> Iterator[Failure]:
    """What happens in a copy is the same whatever happens in the others, and where nothing is random without them."""
