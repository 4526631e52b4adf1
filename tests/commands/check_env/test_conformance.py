"""Every promise is kept by our worlds, and whoever breaks one is told where."""

import random
import re
from typing import Any

import numpy
import pytest
import torch

from marlpipe.commands.check_env import calls
from marlpipe.commands.check_env.check import PROMISES, Report, check
from marlpipe.commands.check_env.global_generators import global_seeds, global_states
from marlpipe.config.build import build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from tests.commands.check_env import broken_worlds as worlds
from tests.support.cases import WORLDS
from tests.support.synthetic import RaggedWorld

CPU = torch.device("cpu")
SPEC = "the spec is sound"
RAISES = "no call raises an exception"
SHAPES = "shapes, dtypes and device fit the spec"
ARGUMENTS = "arguments are not changed in place"
MASKS = "every agent has an available action"
BEYOND = "ended copies may be stepped on"
FINITE = "numbers are finite"
ENDS = "episodes end by the horizon, in one way"
LOOKS = "observing changes nothing"
ANSWERS = "answers are not overwritten later"
SEED = "the same seed gives the same episodes"
GLOBAL = "global random generators are left alone"
STATE = "the same state and seed give the same step"
ACTIONS = "every available action can be taken"
COPIES = "copies do not affect each other"
IN_OBS = "the state is observed where the spec says so"
KEPT = "nothing is lost in what the spec allows to keep"
LEFT_OUT = "ended copies may be left out"

GIVEN = {"pettingzoo": ["env.name=mpe2.simple_spread_v3"]}  # what a world has no value for by itself
SHORT = 5  # env steps


def judged(env: Any, **changes: int) -> Report:
    return check(env, **({"copies": 8, "episodes": 2, "seed": 0} | changes), device=CPU)


def told(report: Report) -> dict[str, list[str]]:
    """The broken promises and what is said of them."""
    return {verdict.promise: [str(f) for f in verdict.failures] for verdict in report.verdicts if verdict.failures}


def without_place(failure: str) -> str:
    """Exceptions are told with file and line."""
    return re.sub(r" \(\S*broken_worlds\.py:\d+\)$", "", failure)


@pytest.mark.parametrize("world", WORLDS)
def test_our_worlds_keep_all_promises(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # these tests have all shapes checked by beartype, which draws from Python's generator to pick what it looks at
    monkeypatch.setattr(calls, "global_states", lambda: {**global_states(), "Python's global generator": 0})
    register_resolvers()
    with compose_api(config_folder()):
        config = compose_run([f"env={world}", *GIVEN.get(world, [])], config_folder())
    for limit in ("time_limit", "horizon"):
        if config.env.get(limit):
            config.env[limit] = min(config.env[limit], SHORT)
    assert told(judged(build_env(config), copies=4, episodes=1)) == {}


def test_a_sound_world_keeps_all_promises() -> None:
    """Random lengths, masks, noise in every reward, and NaN as what an ended copy is paid."""
    for env in (worlds.Counter(), RaggedWorld(), worlds.NoMaskAtTheEnd(), worlds.KeptSmall()):
        verdicts = judged(env).verdicts
        assert [verdict.state for verdict in verdicts] == ["ok"] * len(verdicts) == ["ok"] * (7 + len(PROMISES))


def test_a_world_that_only_goes_forward_is_not_asked_to_go_back() -> None:
    """Its assertion would fail if it was."""
    verdicts = {verdict.promise: verdict for verdict in judged(worlds.Simulator(RaggedWorld())).verdicts}
    skipped = {promise for promise, verdict in verdicts.items() if verdict.state == "skipped"}
    assert skipped == {STATE, ACTIONS, LEFT_OUT}
    assert verdicts[STATE].skipped == "Token is no NamedTuple of tensors, so no env step can be tried again"
    assert all(verdict.state == "ok" for promise, verdict in verdicts.items() if promise not in skipped)


def test_copies_that_affect_each_other_behind_a_token() -> None:
    broken = told(judged(worlds.Simulator(worlds.MeanReward())))
    assert list(broken) == [COPIES]
    assert broken[COPIES][0].startswith("rewards, env step 1, copy 0: expected ")
    assert "as while the others acted otherwise" in broken[COPIES][0]


@pytest.mark.parametrize(
    ("world", "promise", "failures"),
    [
        (worlds.WithoutSpec, SPEC, ["spec: expected an EnvSpec, came NoneType"]),
        (
            worlds.NoAgents,
            SPEC,
            [
                "spec.n_agents: expected a whole number of at least 1, came 0",
                "spec.horizon: expected a whole number of at least 1, came 0",
            ],
        ),
        (
            worlds.GraphOfOthers,
            SPEC,
            ["spec.graph: expected a bool tensor of shape (6, 6), came bool (5, 5) on cpu"],
        ),
        (
            worlds.OneWayGraph,
            SPEC,
            ["spec.graph: expected a symmetric matrix, came an edge from 1 to 0 and none back"],
        ),
        (
            worlds.StateElsewhere,
            SPEC,
            [
                "spec.state_in_obs: expected places from 0 to 11, came 12",
                "spec.kept_as: expected a dtype of torch, came str",
            ],
        ),
        (
            worlds.StateOfOthers,
            SPEC,
            ["spec.state_in_obs: expected an int64 tensor of shape (6,), came int64 (5,) on cpu"],
        ),
        (worlds.LoopedGraph, SPEC, ["spec.graph: expected no self-loops, came an edge from 3 to itself"]),
        (
            worlds.FailingReset,
            RAISES,
            ["reset(), env step 0: expected a state for 8 copies, came RuntimeError: no world today nor tomorrow"],
        ),
        (
            worlds.FailingObserve,
            RAISES,
            ["observe(), env step 2: expected an Observation for 8 copies, came KeyError: 'seen'"],
        ),
        (
            worlds.FailingStep,
            RAISES,
            ["step(), env step 2: expected a state and a Timestep for 8 copies, came IndexError: out of reach"],
        ),
        (
            worlds.StepWithoutState,
            RAISES,
            [
                "step(), env step 1: expected a state and a Timestep for 8 copies, "
                "came ValueError: too many values to unpack (expected 2)"
            ],
        ),
        (
            worlds.DoubleObservations,
            SHAPES,
            ["obs, env step 2: expected float32 (8, 6, 2) on cpu, came float64 (8, 6, 2) on cpu"],
        ),
        (worlds.FlatState, SHAPES, ["state, env step 2: expected float32 (8, 6) on cpu, came float32 (48,) on cpu"]),
        (
            worlds.FloatMask,
            SHAPES,
            ["avail_actions, env step 2: expected bool (8, 6, 3) on cpu, came float32 (8, 6, 3) on cpu"],
        ),
        (
            worlds.ListMask,
            SHAPES,
            ["avail_actions, env step 2: expected bool (8, 6, 3) on cpu, came no tensor but list"],
        ),
        (
            worlds.OtherDevice,
            SHAPES,
            ["obs, env step 2: expected float32 (8, 6, 2) on cpu, came float32 (8, 6, 2) on meta"],
        ),
        (worlds.TeamReward, SHAPES, ["rewards, env step 2: expected float32 (8, 6) on cpu, came float32 (8,) on cpu"]),
        (
            worlds.NumberTerminated,
            SHAPES,
            ["terminated, env step 2: expected bool (8,) on cpu, came int64 (8,) on cpu"],
        ),
        (
            worlds.AlwaysEight,
            SHAPES,
            [
                f"CounterState.{field}, env step 0: expected a tensor that leads with 1 copy, on cpu, came {came}"
                for field, came in {
                    "elapsed": "int64 (8,) on cpu",
                    "total": "float32 (8, 6) on cpu",
                    "copy": "int64 (8,) on cpu",
                }.items()
            ],
        ),
        (
            worlds.CommonTime,
            SHAPES,
            [
                "CounterState.elapsed, env step 1: expected a tensor that leads with 8 copies, on cpu, "
                "came int64 () on cpu"
            ],
        ),
        (worlds.PlainTuples, SHAPES, ["the next state, env step 1: expected CounterState, came tuple"]),
        (
            worlds.StepInPlace,
            ARGUMENTS,
            ["CounterState.total, env step 1, copy 0: expected 0 at [0], as it was given, came 1 at [0]"],
        ),
        (
            worlds.ObserveInPlace,
            ARGUMENTS,
            ["CounterState.total, env step 0, copy 0: expected 0 at [0], as it was given, came -1 at [0]"],
        ),
        (
            worlds.ActionsInPlace,
            ARGUMENTS,
            ["actions, env step 1: expected the actions that were given, came others, in place"],
        ),
        (
            worlds.GlobalLottery,
            GLOBAL,
            ["torch's global generator, env step 1: expected the state that it had, came another one after step()"],
        ),
        (
            worlds.SeedsAll,
            GLOBAL,
            ["torch's global generator, env step 0: expected the state that it had, came another one after reset()"],
        ),
        (
            worlds.DrawsFromNumpy,
            GLOBAL,
            ["numpy's global generator, env step 1: expected the state that it had, came another one after step()"],
        ),
        (
            worlds.DrawsFromPython,
            GLOBAL,
            ["Python's global generator, env step 0: expected the state that it had, came another one after observe()"],
        ),
        (
            worlds.NothingToDo,
            MASKS,
            ["avail_actions, env step 2, copy 1: expected an available action for each agent, came none for agent 4"],
        ),
        (
            worlds.NoMaskAtTheLimit,
            MASKS,
            ["avail_actions, env step 4, copy 0: expected an available action for each agent, came none for agent 0"],
        ),
        (
            worlds.NotBeyond,
            BEYOND,
            ["step(), env step 5: expected a state and a Timestep for 8 copies, came ValueError: it is over"],
        ),
    ],
)
def test_what_ends_the_trial(world: type, promise: str, failures: list[str]) -> None:
    """Nothing is said of other promises: they were not judged."""
    report = judged(world())
    assert {name: list(map(without_place, said)) for name, said in told(report).items()} == {promise: failures}
    assert {verdict.state for verdict in report.verdicts if verdict.promise != promise} == {"skipped"}
    assert report.trial is None


@pytest.mark.parametrize(
    ("world", "failures"),
    [
        (
            worlds.InfiniteObservation,
            {FINITE: "obs, env step 2, copy 1: expected finite numbers, came inf at [4, 0]"},
        ),
        (worlds.UnknownState, {FINITE: "state, env step 2, copy 1: expected finite numbers, came nan at [4]"}),
        (worlds.UnknownReward, {FINITE: "rewards, env step 2, copy 1: expected finite numbers, came nan at [4]"}),
        (
            worlds.BothEnds,
            {ENDS: "terminated, truncated, env step 2, copy 1: expected at most one of them, came both"},
        ),
        (
            worlds.EndsTooLate,
            {
                ENDS: "terminated, truncated, env step 4, copy 0: "
                "expected one of them by the spec's horizon, came neither"
            },
        ),
        (
            worlds.CountedLooks,
            {
                LOOKS: "obs, env step 0, copy 1: expected 1 at [4, 0], as observed just before, came 2 at [4, 0]",
                SEED: "obs, env step 0, copy 1: expected 1 at [4, 0], as before with the same seed, came ",
                STATE: "obs, env step 1, copy 1: expected 4 at [4, 0], as before from this state, came ",
                COPIES: "obs, env step 2, copy 1: expected 6 at [4, 0], as among the others, came ",
            },
        ),
        (
            worlds.OneBuffer,
            {ANSWERS: "rewards, env step 1, copy 0: expected 0 at [0], as when it was returned, came 4 at [0]"},
        ),
        (worlds.ForkedLottery, dict.fromkeys((SEED, STATE, COPIES), "rewards, env step 1, copy 0: expected ")),
        (worlds.LotteryOfItsOwn, dict.fromkeys((SEED, STATE, COPIES), "rewards, env step 1, copy 0: expected ")),
        (worlds.LotteryOfTheRunning, {COPIES: "rewards, env step 1, copy 2: expected "}),
        (worlds.HiddenClock, dict.fromkeys((STATE, COPIES), "rewards, env step 1, copy 0: expected ")),
        (
            worlds.ForbiddenUnison,
            {
                ACTIONS: "step() with action 2, env step 2: expected a state and a Timestep for 8 copies, "
                "came LookupError: all at once"
            },
        ),
        (
            worlds.AnotherState,
            {IN_OBS: "state, env step 2, copy 1: expected 1 at [4], as observed at spec.state_in_obs, came 2 at [4]"},
        ),
        (worlds.Halves, {KEPT: "obs, env step 2, copy 1: expected what uint8 can hold, came 2.5 at [4, 1]"}),
        (
            worlds.FixedNumber,
            {LEFT_OUT: "step(), env step 2: expected a state and a Timestep for 7 copies, came RuntimeError: "},
        ),
        (worlds.MeanReward, {COPIES: "rewards, env step 1, copy 0: expected "}),
    ],
)
def test_broken_promises(world: type, failures: dict[str, str]) -> None:
    """They are the only ones, and what is said of each begins so."""
    broken = told(judged(world()))
    assert list(broken) == list(failures)
    for promise, beginning in failures.items():
        assert broken[promise][0].startswith(beginning), broken[promise]
        assert len(broken[promise]) == 1, broken[promise]


def test_global_seeds_are_lent() -> None:
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(())), float(numpy.random.rand()), random.random()

    with global_seeds(0, CPU):
        first = drawn()
        with global_seeds(1, CPU):
            other = drawn()
        second = drawn()
    with global_seeds(0, CPU):
        assert (drawn(), drawn()) == (first, second)
    assert len({*first, *second, *other}) == 9


def test_the_seed_and_the_numbers_of_copies_and_episodes_are_as_asked() -> None:
    trial = judged(RaggedWorld(), copies=5, episodes=3, seed=7).trial
    assert trial is not None
    assert [len(recording.running[0]) for recording in trial.recordings] == [5, 5, 5, 1]
    seeds = [torch.Generator().manual_seed(seed).get_state() for seed in (7, 8, 9, 7)]
    assert all(torch.equal(r.draws[0], seed) for r, seed in zip(trial.recordings, seeds, strict=True))


def test_an_exception_is_told_with_file_and_line() -> None:
    [failure] = told(judged(worlds.FailingReset()))[RAISES]
    assert re.search(r"RuntimeError: no world today nor tomorrow \(\S*broken_worlds\.py:\d+\)$", failure)
