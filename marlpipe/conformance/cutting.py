"""What a rollout does to worlds whose states are values: it goes on with the copies that are still running."""

from collections.abc import Iterator

from marlpipe.conformance.failure import Failure
from marlpipe.conformance.trial import Trial
from marlpipe.conformance.values import indexed


def running_copies_go_on(trial: Trial) -> Iterator[Failure]:
    """From any moment of an episode on, without those that have ended."""
    calls, recording = trial.calls, trial.recordings[0]
    for t, taken in enumerate(recording.actions):
        rows = recording.running[t].nonzero().flatten()
        state = indexed(recording.states[t], rows)
        after, _ = calls.step(state, taken[rows], recording.generator(t + 1), t + 1)
        calls.observe(after, len(rows), t + 1)
    yield from ()  # whatever is wrong was raised
