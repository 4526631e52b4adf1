"""Promises about what happens in an episode: recordings alone can show whether they are kept."""

from collections.abc import Iterator

import torch

from marlpipe.conformance.comparing import differences, first, number
from marlpipe.conformance.failure import Failure
from marlpipe.conformance.recording import unlike
from marlpipe.conformance.trial import Trial


def numbers_are_finite(trial: Trial) -> Iterator[Failure]:
    """What is seen up to the last moment of an episode, and the rewards up to it. What comes later is never read."""
    for recording in trial.recordings:
        read = [
            ("obs", recording.seen.obs, recording.filled, 0),
            ("state", recording.seen.state, recording.filled, 0),
            ("rewards", recording.timesteps.rewards, recording.running[:-1], 1),
        ]
        for field, values, exists, env_step in read:
            for t, copy, entry in first(~values.isfinite(), exists):
                yield Failure(field, "finite numbers", number(values[t, copy], entry), env_step + t, copy)


def episodes_end(trial: Trial) -> Iterator[Failure]:
    """Each is terminated or truncated, never both, after at most as many env steps as the spec's horizon."""
    horizon = trial.calls.env.spec.horizon
    for recording in trial.recordings:
        _, terminated, truncated = recording.timesteps
        for t, copy, _ in first(terminated & truncated, recording.running[:-1]):
            yield Failure("terminated, truncated", "at most one of them", "both", t + 1, copy)
        for _, copy, _ in first(recording.running[horizon:], recording.running[horizon:]):
            yield Failure("terminated, truncated", "one of them by the spec's horizon", "neither", horizon, copy)


def observing_changes_nothing(trial: Trial) -> Iterator[Failure]:
    """Whoever observes twice sees the same twice."""
    for recording in trial.recordings:
        again, seen, exists = recording.seen_again, recording.seen, recording.filled
        yield from differences(again, seen, exists, env_step=0, same_as="as observed just before")


def answers_are_not_overwritten(trial: Trial) -> Iterator[Failure]:
    """A rollout keeps all answers until it ends: their tensors are not used again for later ones."""
    same_as = "as when it was returned"
    for recording in trial.recordings:
        filled, running = recording.filled, recording.running[:-1]
        yield from differences(recording.seen_later, recording.seen, filled, env_step=0, same_as=same_as)
        yield from differences(recording.timesteps_later, recording.timesteps, running, env_step=1, same_as=same_as)


def same_seed_same_episodes(trial: Trial) -> Iterator[Failure]:
    """The generator decides on all that is random: another global seed changes nothing."""
    played, again = trial.recordings[0], trial.repeated
    everywhere = torch.ones_like(played.running[0])
    yield from unlike(again, played, everywhere, same_as="as before with the same seed")
