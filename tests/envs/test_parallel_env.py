"""Our worlds as PettingZoo's environments: its own tests, and the same episodes as ours."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from marlpipe.config.build import build_env
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.parallel_env import parallel_env
from marlpipe.envs.parallel_world import ParallelWorld
from marlpipe.envs.pettingzoo_worlds import PettingZooWorld
from marlpipe.errors import UserError
from tests.support.composition import compose
from tests.support.synthetic import RaggedWorld

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports its own worlds in a way that it gives up
    from pettingzoo.test import parallel_api_test, parallel_seed_test

ADAPTERS = ("pettingzoo_worlds", "vmas_worlds")  # others' worlds, which need no way back


def is_ours(world: str) -> bool:
    return not any(adapter in compose(f"env={world}").env._target_ for adapter in ADAPTERS)


WORLDS = list(filter(is_ours, groups(config_folder())["env"]))


@pytest.mark.parametrize("world", WORLDS)
def test_pettingzoos_own_tests(world: str) -> None:
    def made() -> ParallelWorld:
        return ParallelWorld(build_env(compose(f"env={world}")))

    parallel_api_test(made(), num_cycles=20)
    parallel_seed_test(made, num_cycles=10)


def random_actions(seen: dict[str, Any], random: torch.Generator) -> dict[str, int]:
    """Available ones."""
    masks = {agent: torch.from_numpy(view["action_mask"]) for agent, view in seen.items()}
    return {agent: int(torch.multinomial(mask.float(), 1, generator=random)) for agent, mask in masks.items()}


def test_the_same_episode_as_in_our_world() -> None:
    """Predators at which PettingZoo looks see, do and get what they do in a copy of ours with the same seed."""
    small = {"n_agents": 3, "n_prey": 2, "rows": 3, "columns": 3, "time_limit": 40, "punishment": -1.0}
    settings = ["env=predator_prey", *(f"env.{key}={value}" for key, value in small.items())]
    theirs = parallel_env(settings)
    ours, random, choices = parallel_env(settings).env, torch.Generator().manual_seed(7), torch.Generator()
    (seen, infos), state = theirs.reset(seed=7), ours.reset(1, random)
    assert theirs.possible_agents == ["agent_0", "agent_1", "agent_2"]
    assert infos == {agent: {} for agent in theirs.agents}
    paid = 0.0
    while theirs.agents:
        obs, whole, avail_actions = ours.observe(state)
        for i, agent in enumerate(theirs.possible_agents):
            assert theirs.observation_space(agent).contains(seen[agent])
            assert np.array_equal(seen[agent]["observation"], obs[0, i].numpy())
            assert np.array_equal(seen[agent]["action_mask"], avail_actions[0, i].numpy())
        assert np.array_equal(theirs.state(), whole[0].numpy())
        assert theirs.state_space.contains(theirs.state())
        actions = random_actions(seen, choices)
        state, timestep = ours.step(state, torch.tensor([list(actions.values())]), random)
        seen, rewards, terminated, truncated, _ = theirs.step(actions)
        team = float(timestep.rewards.sum())
        assert list(rewards.values()) == [pytest.approx(team / 3)] * 3
        assert set(terminated.values()) == {timestep.terminated.item()}
        assert set(truncated.values()) == {timestep.truncated.item()}
        paid += abs(team)
    assert paid > 0
    assert any([*terminated.values(), *truncated.values()])


@pytest.mark.parametrize(
    ("world", "rewards"),
    [
        ("payoff", [4, 4]),  # the team's 8 for (0, 0), in equal shares
        ("payoff_lomaq_a", [1, 30]),  # each its own
    ],
)
def test_the_sum_of_rewards_is_the_teams(world: str, rewards: list[float]) -> None:
    env = parallel_env([f"env={world}"])
    env.reset(seed=0)
    assert list(env.step({"agent_0": 0, "agent_1": 0})[1].values()) == rewards


@pytest.mark.parametrize("terminal", [True, False])
def test_everybody_leaves_when_the_episode_ends(terminal: bool) -> None:
    env = parallel_env(["env=cartpole", "env.time_limit=2", f"env.time_limit_is_terminal={str(terminal).lower()}"])
    seen, _ = env.reset(seed=1)
    assert env.agents == env.possible_agents == ["agent_0", "agent_1", "agent_2"]
    _, _, terminated, truncated, _ = env.step(random_actions(seen, torch.Generator()))
    assert (set(terminated.values()), set(truncated.values()), env.num_agents) == ({False}, {False}, 3)
    last, _, terminated, truncated, _ = env.step(random_actions(seen, torch.Generator()))
    assert (set(terminated.values()), set(truncated.values()), env.agents) == ({terminal}, {not terminal}, [])
    assert last["agent_0"]["observation"].any()
    with pytest.raises(UserError, match=r"(?s)the episode is over.*reset"):
        env.step({})
    env.reset()
    assert env.agents == env.possible_agents


def test_a_seed_decides_and_none_goes_on() -> None:
    env = parallel_env()

    def start(seed: int | None) -> list[float]:
        seen: Any = env.reset(seed=seed)[0]["agent_0"]["observation"].tolist()
        return list(seen)

    first, second = start(3), start(None)
    assert first != second
    assert [start(3), start(None)] == [first, second]
    assert parallel_env().reset()[0]["agent_0"]["observation"].tolist() != first


@pytest.mark.parametrize(
    "actions", [{}, {"agent_0": 0}, {"agent_0": 0, "agent_1": 3}, {"agent_0": 0, "agent_1": 1, "agent_2": 0}]
)
def test_what_is_no_joint_action_is_explained(actions: dict[str, int]) -> None:
    env = parallel_env(["env=payoff"])
    env.reset(seed=0)
    with pytest.raises(UserError, match=r"(?s)no joint action.*agent_0, agent_1 a whole number from 0 to 2"):
        env.step(actions)


def test_pictures() -> None:
    env = parallel_env(["env=payoff"], render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before is not None
    assert (before.dtype, before.ndim, before.shape[2]) == (np.uint8, 3, 3)
    assert before.min() < before.max()
    blind = parallel_env(["env=payoff"])
    blind.reset(seed=0)
    assert blind.render() is None
    with pytest.raises(UserError, match=r"(?s)render_mode 'human' does not exist.*rgb_array"):
        parallel_env(["env=payoff"], render_mode="human")
    with pytest.raises(UserError, match="RaggedWorld cannot be rendered"):
        ParallelWorld(RaggedWorld(), render_mode="rgb_array")


def test_there_and_back() -> None:
    """Carts, seen through PettingZoo's eyes, through ours: the same episode as without."""
    settings = ["env=cartpole", "env.n_agents=2", "env.time_limit=5", "env.time_limit_is_terminal=false"]
    around = PettingZooWorld(
        name="marlpipe.config.parallel_env",
        arguments={"overrides": settings},
        horizon=5,
        local_rewards=True,
        edges=None,
        rebuild=False,
        workers=0,
    )
    straight, random = parallel_env(settings).env, torch.Generator().manual_seed(4)
    [seed] = torch.randint(2**31 - 1, (1,), generator=torch.Generator().manual_seed(4)).tolist()
    far, near = around.reset(1, random), straight.reset(1, torch.Generator().manual_seed(seed))
    assert (around.spec.n_agents, around.spec.obs_dim, around.spec.state_dim) == (2, 4, 8)
    for t in range(5):
        for ours, theirs in zip(around.observe(far), straight.observe(near), strict=True):
            assert torch.equal(ours, theirs)
        actions = torch.randint(2, (1, 2), generator=random)
        far, came = around.step(far, actions, random)
        near, expected = straight.step(near, actions, random)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(came, expected, strict=True))
        assert came.truncated.item() == (t == 4)
