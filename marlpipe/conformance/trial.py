"""The episodes that a world is judged by."""

from typing import NamedTuple

from marlpipe.conformance.calls import Calls
from marlpipe.conformance.recording import Recording, at_random, record
from marlpipe.conformance.values import tokens

GLOBAL_SEEDS = (2**20 + 1, 2**20 + 2)  # which no run has, and no world is likely to set


class Trial(NamedTuple):
    """A world and random episodes in it."""

    calls: Calls
    seed: int
    recordings: list[Recording]  # of several copies, with the seed, seed + 1, …; the last one of a copy alone
    repeated: Recording  # the first one again, with other global seeds

    @property
    def forward_only(self) -> str:
        """Why no env step can be tried again; empty where all can."""
        held_by = tokens(self.recordings[0].states[0])
        return f"{' and '.join(held_by)}, so no env step can be tried again" if held_by else ""


def held(calls: Calls, *, copies: int, episodes: int, seed: int) -> Trial:
    """Plays `episodes` times with as many `copies` side by side, and what `Trial` has besides. May raise `Broken`."""

    def play(n: int, seed: int, global_seed: int = GLOBAL_SEEDS[0]) -> Recording:
        return record(calls, n, at_random(seed, calls.device), seed=seed, global_seed=global_seed)

    several = [play(copies, seed + number) for number in range(episodes)]
    return Trial(calls, seed, [*several, play(1, seed)], repeated=play(copies, seed, global_seed=GLOBAL_SEEDS[1]))
