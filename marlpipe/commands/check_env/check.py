"""All promises of a world, and what becomes of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch

from marlpipe.commands.check_env import calls, episodes, recording, replays
from marlpipe.commands.check_env import episodes as storage
from marlpipe.commands.check_env import replays as cutting
from marlpipe.commands.check_env.calls import Calls
from marlpipe.commands.check_env.promise import Broken, Failure, refuse
from marlpipe.commands.check_env.recording import Trial, held
from marlpipe.commands.check_env.spec import sound_spec

SPEC = "the spec is sound"
BY_PLAYING = (calls.RETURN, calls.SHAPES, calls.ARGUMENTS, calls.GLOBAL, recording.MASKS, recording.BEYOND)


class Promise(NamedTuple):
    """What is judged when random episodes have been played."""

    text: str
    failures: Callable[[Trial], Iterator[Failure]]
    of_values: bool = False  # not for worlds that only go forward


PROMISES = (
    Promise("numbers are finite", episodes.numbers_are_finite),
    Promise("episodes end by the horizon, in one way", episodes.episodes_end),
    Promise("observing changes nothing", episodes.observing_changes_nothing),
    Promise("answers are not overwritten later", episodes.answers_are_not_overwritten),
    Promise("the state is observed where the spec says so", storage.state_is_observed),
    Promise("nothing is lost in what the spec allows to keep", storage.nothing_is_lost),
    Promise("the same seed gives the same episodes", episodes.same_seed_same_episodes),
    Promise("the same state and seed give the same step", replays.same_state_same_step, of_values=True),
    Promise("every available action can be taken", replays.available_actions_can_be_taken, of_values=True),
    Promise("copies do not affect each other", replays.copies_unaffected),
    Promise("ended copies may be left out", cutting.running_copies_go_on, of_values=True),
)
NAMES = (SPEC, *BY_PLAYING, *(promise.text for promise in PROMISES))


class Verdict(NamedTuple):
    """What became of a promise: broken where there are failures, not judged where it was `skipped`, else kept."""

    promise: str
    failures: Sequence[Failure] = ()
    skipped: str = ""  # why

    @property
    def state(self) -> Literal["ok", "failed", "skipped"]:
        return "failed" if self.failures else "skipped" if self.skipped else "ok"


class Report(NamedTuple):
    """The verdicts on all promises, and the episodes they rest on where these could be played."""

    verdicts: list[Verdict]
    trial: Trial | None


def check(env: Any, *, copies: int, episodes: int, seed: int, device: torch.device) -> Report:
    """Plays a world with random actions and judges it, mostly by rounds of `copies` side by side, `episodes` of them.

    Where episodes cannot be played, that is all there is to tell: the other promises are skipped.
    """
    try:
        refuse(SPEC, sound_spec(getattr(env, "spec", None)))
        trial = held(Calls(env, torch.empty(0, device=device).device), copies=copies, episodes=episodes, seed=seed)
    except Broken as stop:
        verdicts = {name: Verdict(name, skipped=f"mend this first: {stop.promise}") for name in NAMES}
        return Report([*(verdicts | {stop.promise: Verdict(stop.promise, stop.failures)}).values()], None)
    played = [Verdict(name) for name in (SPEC, *BY_PLAYING)]
    return Report([*played, *(judged(promise, trial) for promise in PROMISES)], trial)


def judged(promise: Promise, trial: Trial) -> Verdict:
    """The first failure of each field in time."""
    if promise.of_values and trial.forward_only:
        return Verdict(promise.text, skipped=trial.forward_only)
    failures: list[Failure] = []
    try:
        failures.extend(promise.failures(trial))
    except Broken as stop:
        failures.extend(stop.failures)
    by_field: dict[str, Failure] = {}
    for failure in sorted(failures, key=lambda failure: failure.env_step or 0):
        by_field.setdefault(failure.field, failure)
    return Verdict(promise.text, list(by_field.values()))
