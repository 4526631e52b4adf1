"""What is said of worlds that fail, or whose answers are not as they declare them."""

import signal

import pytest
import torch

from marlpipe.envs.opposed_rewards import OpposedRewards
from marlpipe.errors import MisfitError, WorldError
from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch
from tests.envs.failing import Own
from tests.envs.playing import world

ANSWERING = "tests.envs.failing:Answering"


def played(env: object, n: int = 2) -> EpisodeBatch:
    agent = FeedForwardAgent(spec=env.spec, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True)
    return rollout(env, agent, n, 1.0, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (
            "narrow",
            r"world Own: obs is float32 \(2, 2, 3\) on cpu, from observe\(\) at env step 0.*valid: float32 \(2, 2, 4\)",
        ),
        ("narrow later", r"obs is float32 \(2, 2, 3\) on cpu, from observe\(\) at env step 3"),
        ("numbers as masks", r"avail_actions is float32 .*valid: bool"),
        ("two", "it returned a tuple of 2, from observe.*valid: an Observation"),
        ("numbers as masks later", r"avail_actions is float32 .* at env step 3.*valid: bool"),
        ("arrays later", r"obs is no tensor but ndarray, from observe\(\) at env step 3"),
        ("halves as ends", r"terminated is float32 \(2,\) on cpu, from step\(\) at env step 3.*valid: bool"),
        ("never ends", r"episodes go on after 5 env steps, .* at env step 6.*valid: an end by spec.horizon"),
        ("team reward", r"rewards is float32 \(2,\) on cpu, from step\(\) at env step 1.*valid: float32 \(2, 2\)"),
    ],
)
def test_an_answer_that_does_not_fit_the_spec_is_refused(fault: str, complaint: str) -> None:
    with pytest.raises(MisfitError, match=f"(?s){complaint}.*where: .*failing.py:.*check_env env=…"):
        played(Own(fault))


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("unknown observation", "obs has nan for agent 1, number 2, copy 1, env step 3"),
        ("unknown state", "state has inf for number 2, copy 1, env step 3"),
        ("unknown reward", "rewards has -inf for agent 0, copy 1, env step 3"),
    ],
)
def test_the_first_number_that_is_not_finite_ends_the_rollout(fault: str, complaint: str) -> None:
    with pytest.raises(WorldError, match=f"(?s)world Own: {complaint}.*finite numbers.*check_env env=…"):
        played(Own(fault))


def test_an_agent_without_any_action_ends_the_rollout() -> None:
    said = "(?s)world Own: avail_actions has none for agent 0, copy 1, env step 3.*at least one .*failing.py.*check_env"
    with pytest.raises(WorldError, match=said):
        played(Own("nothing to do"))


def test_only_a_ctrl_c_stops_a_run() -> None:
    """While a run trains, its own handler takes Ctrl-C, so that a KeyboardInterrupt is the world's."""
    with pytest.raises(KeyboardInterrupt):
        played(Own("interrupts"))
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(WorldError, match=r"failed in step\(\) at env step 3: KeyboardInterrupt"):
            played(Own("interrupts"))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exits", r"it called sys.exit\(3\)"),
        ("stops", "StopIteration"),
        ("closes", "GeneratorExit"),
        ("panics", "Panic"),
        ("raises", "ValueError: a fault\n    of two lines"),
    ],
)
def test_a_failure_of_a_world_names_it_and_its_line(fault: str, reason: str) -> None:
    said = rf"(?s)world Own failed in step\(\) at env step 3: {reason}\n  where: \S*failing.py:\d+\n  next: .*check_env"
    with pytest.raises(WorldError, match=said):
        played(Own(fault))


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (
            "broadcast",
            r"the observation of first_0 is .*shape \(1,\), from step\(\) of copy 0 at env step 3.*float32 \(3,\)",
        ),
        ("nested", r"the observation of first_0 is \[\[0.0\], \[0.1\], \[0.2\]\], of the shape \(3, 1\)"),
        ("words", "the observation of first_0 is <U1"),
        ("unseen", "observations lacks first_0: it has second_0, from step"),
        ("unpaid", "rewards lacks first_0"),
        ("endless", "terminations lacks first_0"),
        ("uninformed", "infos lacks first_0"),
        ("pair", r"the reward of first_0 is float64 \(2,\).*valid: one number"),
        ("unsure", "the entry of first_0 in truncations is 0.5.*valid: one boolean"),
        ("masked", "the action_mask of first_0 is .*valid: 0 or 1 for each of its 2 actions"),
        ("fortune", "the reward of first_0 is 1000.*valid: one number"),
        ("misspelt", "rewards has first_0_, which is no possible agent.*valid: its possible_agents: first_0, second_0"),
        ("stranger", r"agents has first_0_, .* from step\(\) of copy 0 at env step 3"),
        ("nobody", "agents is None.*valid: a list of agents"),
        ("short", "it returned a tuple of 4, from step.*valid: 5 dicts by agent"),
    ],
)
def test_an_answer_of_a_pettingzoo_world_is_refused_by_agent(fault: str, complaint: str) -> None:
    with pytest.raises(MisfitError, match=f"(?s)world {ANSWERING}: {complaint}"):
        played(world(ANSWERING, arguments={"fault": fault}))


def test_an_episode_that_begins_with_nobody_is_refused() -> None:
    with pytest.raises(MisfitError, match=r"(?s)agents is empty, from reset\(\) of copy 0.*at least one agent"):
        played(world("tests.envs.failing:Deserted"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_pettingzoo_world_that_exits_has_failed(workers: int) -> None:
    said = r"(?s)Answering failed in step\(\) of copy 0 at env step 3: it called sys.exit\(3\)\n  where: .*failing.py"
    with pytest.raises(WorldError, match=said) as error:
        played(world(ANSWERING, arguments={"fault": "exits"}, workers=workers))
    assert bool(workers) == ("SystemExit: 3" in "".join(getattr(error.value, "__notes__", [])))


def test_arrays_of_one_number_are_numbers() -> None:
    plain, arrays = (played(world(ANSWERING, arguments={"fault": fault})) for fault in ("", "arrays"))
    assert all(torch.equal(one, other) for one, other in zip(plain, arrays, strict=True))


def test_opposed_groups_are_remarked_once(capsys: pytest.CaptureFixture[str]) -> None:
    env = world(ANSWERING, arguments={"fault": "opposed"})
    played(env)
    played(env)
    said = capsys.readouterr().err
    assert said.count("paid against each other, in one env step first -2, second 1") == 1
    assert said.count("one team") == 1


def test_groups_of_one_side_are_not_remarked(capsys: pytest.CaptureFixture[str]) -> None:
    played(world(ANSWERING))
    played(world(ANSWERING, arguments={"fault": "opposed", "names": ("agent_0", "agent_1")}))
    assert capsys.readouterr().err == ""


def test_rewards_that_always_add_up_to_nothing_are_remarked() -> None:
    watched, rewards = OpposedRewards(["player_0", "player_1"]), torch.tensor([[1.0, -1.0], [0.0, 0.0]]).numpy()
    said = [watched.seen(rewards) for _ in range(25)]
    assert [index for index, remark in enumerate(said) if remark] == [OpposedRewards.ENOUGH - 1]
    team = OpposedRewards(["player_0", "player_1"])
    assert not any(team.seen(once) for once in (rewards + 1, *[rewards] * 30))
