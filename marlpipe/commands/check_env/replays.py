"""Promises that take another try: single env steps again where a state is a value, whole episodes where it is not."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from marlpipe.commands.check_env.calls import Calls
from marlpipe.commands.check_env.mismatches import differences
from marlpipe.commands.check_env.promise import Broken, Failure
from marlpipe.commands.check_env.recording import GLOBAL_SEEDS, Recording, Trial, at_random, record, unlike
from marlpipe.commands.check_env.values import copied, indexed, mixed


def available_actions_can_be_taken(trial: Trial) -> Iterator[Failure]:
    """At each time step of an episode, every action can be taken by all agents that have it available."""
    calls, recording = trial.calls, trial.recordings[0]
    for t, taken in enumerate(recording.actions):
        available = recording.seen.avail_actions[t] & recording.running[t].view(-1, 1, 1)
        for action in range(calls.env.spec.n_actions):
            actions = taken.masked_fill(available[:, :, action], action)
            try:
                calls.step(copied(recording.states[t]), actions, recording.generator(t + 1), t + 1)
            except Broken as stop:
                yield from (
                    failure._replace(field=f"{failure.field} with action {action}") for failure in stop.failures
                )


def same_state_same_step(trial: Trial) -> Iterator[Failure]:
    """A state says all: from the last to the first, each env step of an episode leads where it led before."""
    calls, recording = trial.calls, trial.recordings[0]
    rows = torch.arange(recording.running.shape[1], device=calls.device)
    for t in reversed(range(len(recording.actions))):
        state, actions = copied(recording.states[t]), recording.actions[t].clone()
        read = recording.running[t]
        yield from step_unlike(calls, recording, t, state, actions, rows, read, same_as="as before from this state")


def copies_unaffected(trial: Trial) -> Iterator[Failure]:
    """What becomes of a copy is the same without the others, or, where random numbers are drawn, beside any others."""
    recording = trial.recordings[0]
    if trial.forward_only:
        yield from copies_replayed(trial)
        return
    for t in range(len(recording.actions)):
        if recording.drew(t + 1):
            yield from copies_among_others(trial.calls, recording, t)
        else:
            yield from copy_alone(trial.calls, recording, t)


def copy_alone(calls: Calls, recording: Recording, t: int) -> Iterator[Failure]:
    """One env step of one running copy, another one at each time."""
    running = recording.running[t].nonzero().flatten()
    rows = running[t % len(running)].unsqueeze(0)
    state, actions = indexed(recording.states[t], rows), recording.actions[t][rows]
    read = torch.ones_like(rows, dtype=torch.bool)
    yield from step_unlike(
        calls, recording, t, state, actions, rows, read, same_as="as among the others", rounding=True
    )


def copies_among_others(calls: Calls, recording: Recording, t: int) -> Iterator[Failure]:
    """One env step of every other copy, while those between them are where they were in the end."""
    rows = torch.arange(recording.running.shape[1], device=calls.device)
    kept = (rows + t) % 2 == 0
    elsewhere = recording.seen.avail_actions[-1].byte().argmax(-1)
    state = mixed(kept, recording.states[t], recording.states[-1])
    actions = torch.where(kept.unsqueeze(1), recording.actions[t], elsewhere)
    read = recording.running[t] & kept
    yield from step_unlike(calls, recording, t, state, actions, rows, read, same_as="as among others", rounding=True)


def copies_replayed(trial: Trial) -> Iterator[Failure]:
    """Whole episodes again, in which every other copy acts as it did, and those between them in another way."""
    calls, recording = trial.calls, trial.recordings[0]
    n = recording.running.shape[1]
    kept = torch.arange(n, device=calls.device) % 2 == 0
    others = at_random(trial.seed + 1, calls.device)

    def policy(env_step: int, avail_actions: Tensor) -> Tensor:
        actions = others(env_step, avail_actions)
        if env_step < len(recording.actions):
            actions = torch.where(kept.unsqueeze(1), recording.actions[env_step], actions)
        return actions

    again = record(calls, n, policy, seed=trial.seed, global_seed=GLOBAL_SEEDS[0])
    yield from unlike(again, recording, kept, same_as="as while the others acted otherwise", rounding=True)


def step_unlike(
    calls: Calls,
    recording: Recording,
    t: int,
    state: Any,
    actions: Int[Tensor, "R N"],
    rows: Int[Tensor, " R"],
    read: Bool[Tensor, " R"],
    *,
    same_as: str,
    rounding: bool = False,
) -> Iterator[Failure]:
    """Where an env step from a state leads elsewhere than the recorded one from moment t led the copies in `rows`."""
    after, timestep = calls.step(state, actions, recording.generator(t + 1), t + 1)
    seen = calls.observe(after, len(rows), t + 1)
    accounts = [
        (after, recording.states[t + 1]),
        (timestep, indexed(recording.timesteps, t)),
        (seen, indexed(recording.seen, t + 1)),
    ]
    for came, expected in accounts:
        for failure in differences(
            indexed(came, None),
            indexed(indexed(expected, rows), None),
            read.unsqueeze(0),
            env_step=t + 1,
            same_as=same_as,
            rounding=rounding,
        ):
            yield failure._replace(copy=None if failure.copy is None else int(rows[failure.copy]))


def running_copies_go_on(trial: Trial) -> Iterator[Failure]:
    """From any moment of an episode on, without those that have ended."""
    calls, recording = trial.calls, trial.recordings[0]
    for t, taken in enumerate(recording.actions):
        rows = recording.running[t].nonzero().flatten()
        state = indexed(recording.states[t], rows)
        after, _ = calls.step(state, taken[rows], recording.generator(t + 1), t + 1)
        calls.observe(after, len(rows), t + 1)
    yield from ()  # whatever is wrong was raised
