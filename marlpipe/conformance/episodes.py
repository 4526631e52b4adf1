"""Promises about what happens in an episode: recordings alone can show whether they are kept."""

from collections.abc import Iterator
from itertools import pairwise

from marlpipe.conformance.comparing import differences, first, number
from marlpipe.conformance.failure import Failure
from marlpipe.conformance.trial import Trial


def numbers_are_finite(trial: Trial) -> Iterator[Failure]:
    """What is seen up to the last moment of an episode, and the rewards up to it. What comes later is never read."""
    for recording in trial.recordings:
        seen, running = recording.seen, recording.running[:-1]
        read = [
            ("obs", seen.obs, recording.filled, 0),
            ("state", seen.state, recording.filled, 0),
            ("rewards", recording.timesteps.rewards, running, 1),
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
        for copy in recording.running[-1].nonzero().flatten().tolist()[:1]:
            yield Failure("terminated, truncated", "one of them by the horizon", "neither", horizon, copy)


def observing_changes_nothing(trial: Trial) -> Iterator[Failure]:
    """Whoever observes twice sees the same twice."""
    for recording in trial.recordings:
        again, seen, exists = recording.seen_again, recording.seen, recording.filled
        yield from differences(again, seen, exists, env_step=0, same_as="as when observed before")


def answers_stay(trial: Trial) -> Iterator[Failure]:
    """The tensors of an answer are not used again for a later one: a rollout keeps them all until it ends."""
    for recording in trial.recordings:
        answers = [
            (recording.seen_later, recording.seen, recording.filled, 0),
            (recording.timesteps_later, recording.timesteps, recording.running[:-1], 1),
        ]
        for later, noted, exists, env_step in answers:
            yield from differences(later, noted, exists, env_step=env_step, same_as="as when it was returned")


def same_seed_same_episodes(trial: Trial) -> Iterator[Failure]:
    """The generator decides on all that is random: another global seed changes nothing."""
    played, again = trial.recordings[0], trial.repeated
    common = min(len(played.actions), len(again.actions))
    accounts = [
        (again.seen, played.seen, played.filled, common + 1, 0),
        (again.timesteps, played.timesteps, played.running, common, 1),
    ]
    for came, expected, exists, length, env_step in accounts:
        came, expected = (type(account)(*(field[:length] for field in account)) for account in (came, expected))
        yield from differences(came, expected, exists[:length], env_step=env_step, same_as="as before with this seed")


def global_generators_are_left_alone(trial: Trial) -> Iterator[Failure]:
    """Nothing draws from them, and nothing seeds them."""
    for recording in trial.recordings:
        for env_step, (before, after) in enumerate(pairwise(recording.surroundings)):
            for name in before:
                if before[name] != after[name]:
                    yield Failure(name, "the state that it had", "another one", env_step)
