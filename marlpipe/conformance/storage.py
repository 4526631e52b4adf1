"""Promises that a replay relies on: what it need not keep of a world, and in which dtype it may keep the rest."""

from collections.abc import Iterator

import torch

from marlpipe.conformance.comparing import differences, first, number, unequal
from marlpipe.conformance.failure import Failure
from marlpipe.conformance.trial import Trial


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
