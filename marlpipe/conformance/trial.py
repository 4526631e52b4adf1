"""What a world is judged by."""

from typing import Any, NamedTuple

from marlpipe.conformance.calls import Calls
from marlpipe.conformance.recording import Recording, at_random, record
from marlpipe.types import Env


class Trial(NamedTuple):
    """A world and random episodes in it."""

    calls: Calls
    recordings: list[Recording]  # of several copies, each from a seed of its own, and the last one of a copy alone
    repeated: Recording  # the first one again, with other global seeds


def held(calls: Calls, *, copies: int, episodes: int, seed: int) -> Trial:
    """Plays `episodes` times with as many `copies` side by side, and what `Trial` has besides. May raise `Broken`."""

    def play(n: int, seed: int, global_seed: int = 0) -> Recording:
        return record(calls, n, at_random(seed, calls.device), seed=seed, global_seed=global_seed)

    rounds = [play(copies, seed + number) for number in range(episodes)]
    return Trial(calls, [*rounds, play(1, seed)], repeated=play(copies, seed, global_seed=1))
