"""Promises about what happens in an episode: recordings alone can show whether they are kept."""

from collections.abc import Iterator

import torch

from marlpipe.commands.check_env.mismatches import differences, first, number, unequal
from marlpipe.commands.check_env.promise import Failure
from marlpipe.commands.check_env.recording import Trial, unlike


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
    """Two observations of one state are equal."""
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


def state_is_observed(trial: Trial) -> Iterator[Failure]:
    """The state is in the joint observation, where the spec says so."""
    places = trial.calls.env.spec.state_in_obs
    if places is None:
        return
    for recording in trial.recordings:
        observed = recording.seen._replace(state=recording.seen.obs.flatten(2)[..., places.to(trial.calls.device)])
        same_as = "as observed at spec.state_in_obs"
        yield from differences(recording.seen, observed, recording.filled, env_step=0, same_as=same_as)


def nothing_is_lost(trial: Trial) -> Iterator[Failure]:
    """Observations and states come back the same from the dtype that the spec says they may be kept as."""
    kept_as = trial.calls.env.spec.kept_as
    for recording in trial.recordings:
        for field, values in (("obs", recording.seen.obs), ("state", recording.seen.state)):
            lost = unequal(values.to(kept_as).to(torch.float32), values.to(torch.float32), rounding=False)
            for t, copy, entry in first(lost, recording.filled):
                expected = f"what {str(kept_as).removeprefix('torch.')} can hold"
                yield Failure(field, expected, number(values[t, copy], entry), t, copy)
