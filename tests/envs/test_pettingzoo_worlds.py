"""Worlds of PettingZoo, read by hand from a small one, and against MPE2's own."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mpe2 import simple_spread_v3

from marlpipe.envs.pettingzoo_worlds import coupling
from marlpipe.errors import UserError
from tests.envs import company
from tests.envs.company import Company
from tests.envs.playing import generator, play, random_episodes, same, seeds, world

MIXED = {"scout": (0, 2, "terminated"), "cook": (1, 3, "terminated"), "smith": (0, 3, "truncated")}


def test_what_is_unlike_is_padded_in_the_order_of_possible_agents() -> None:
    env = world(arguments={"script": MIXED})
    spec = env.spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim, spec.state_dim, spec.horizon) == (3, 4, 4, 4, 20)
    state = env.reset(2, generator())
    first, second = (np.float32(seed) for seed in seeds(2))
    # The scout sees (elapsed, resets, seed, told), the cook is not there yet, the smith sees pixels (0, 255).
    expected = [[[0, 1, first, 0], [0, 0, 0, 0], [0, 1, 0, 0]], [[0, 1, second, 0], [0, 0, 0, 0], [0, 1, 0, 0]]]
    torch.testing.assert_close(state.obs, torch.tensor(np.array(expected, dtype=np.float32)))
    assert state.state[:, :3].tolist() == [[0, -1, 2], [0, -1, 2]]
    masks = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 1]]  # the scout has two actions, the smith's mask hides action 0
    assert state.avail_actions.int().tolist() == [masks, masks]
    assert state.elapsed.tolist() == [0, 0]


def test_who_comes_and_dies() -> None:
    env = world(arguments={"script": MIXED})
    (one, came), (two, then), (three, last) = play(env, [[1, 0, 2], [1, 0, 3], [0, 2, 3]])
    # The cook comes after one step, and sees its count of 1 in 3 as one-hot. It may do its last action only.
    assert one.obs[0, 1:].tolist() == [[0, 1, 0, 0], [pytest.approx(0.2), 1, 0, 0]]
    assert one.avail_actions[0].int().tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 1]]
    assert came.rewards.tolist() == [[1, 0, 2]]  # what they were told; the cook was told nothing
    # The cook's first action is called 5. The scout dies, and is paid before.
    assert then.rewards.tolist() == [[1, 5, 3]]
    assert two.obs[0, 0].tolist() == [0, 0, 0, 0]
    assert two.avail_actions[0].int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [1, 1, 0, 1]]
    assert two.state[0, :3].tolist() == [2, -1, 2]
    # The cook dies, the smith is cut off: what it sees then is still shown, as it is bootstrapped from.
    assert last.rewards.tolist() == [[0, 7, 3]]
    assert three.obs[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [pytest.approx(0.6), 1, 0, 0]]
    assert three.avail_actions[0].int().tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]
    ends = [(t.terminated.item(), t.truncated.item()) for t in (came, then, last)]
    assert ends == [(False, False), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("script", "horizon", "length", "terminated"),
    [
        ({}, 20, 3, True),
        ({"scout": (0, 1, "terminated")}, 20, 3, True),
        (dict.fromkeys(company.AGENTS, (0, 2, "truncated")), 20, 2, False),
        ({"scout": (0, 1, "truncated")}, 20, 3, False),  # the others' deaths do not say what the scout would have got
        (MIXED, 20, 3, False),
        ({}, 3, 3, True),
        ({}, 2, 2, False),
        ({"scout": (0, 2, "terminated")}, 2, 2, False),
    ],
)
def test_an_episode_is_terminated_if_everybody_was(
    script: dict[str, Any], horizon: int, length: int, terminated: bool
) -> None:
    env = world(arguments={"script": script}, horizon=horizon)
    came = play(env, [[0, 2, 0]] * (length + 2))
    ends = [(timestep.terminated.item(), timestep.truncated.item()) for _, timestep in came]
    nothing = (False, False)
    assert ends == [*[nothing] * (length - 1), (terminated, not terminated), nothing, nothing]
    for state, timestep in came[length:]:  # the world, which would complain, is left alone
        assert not state.obs.any()
        assert not state.state.any()
        assert not timestep.rewards.any()
        assert state.avail_actions.int().tolist() == [[[1, 0, 0, 0]] * 3]


def test_the_state_is_all_observations_where_the_world_has_none() -> None:
    env = world("tests.envs.company:Stateless")
    state = env.reset(2, generator())
    assert env.spec.state_dim == 12
    assert torch.equal(state.state, state.obs.flatten(1))
    [(after, _)] = play(env, [[1, 0, 1]], n=2)
    assert torch.equal(after.state, after.obs.flatten(1))


def test_seeds_come_from_the_generator_one_by_one() -> None:
    env, random = world(), generator(3)
    at_once = env.reset(20, random).obs[:, 0, 2]
    assert len(set(at_once.tolist())) == 20
    again = world()
    random = generator(3)
    one_by_one = torch.stack([again.reset(1, random).obs[0, 0, 2] for _ in range(20)])
    assert torch.equal(at_once, one_by_one)
    assert torch.equal(env.reset(20, generator(3)).obs[:, 0, 2], at_once)


def test_copies_are_kept_and_more_of_them_made_when_needed() -> None:
    env = world()
    before = Company.made
    resets = [env.reset(n, generator()).obs[:, 0, 1].tolist() for n in (1, 3, 2, 3)]
    assert resets == [[1], [2, 1, 1], [3, 2], [4, 3, 2]]
    assert Company.made - before == 3 + 1  # one more shows what is to be seen


def test_a_rebuilt_copy_has_nothing_of_the_last_episode() -> None:
    kept, rebuilt = (world("tests.envs.company:Forgetful", rebuild=rebuild) for rebuild in (False, True))
    clocks = {}
    for env in (kept, rebuilt):
        play(env, [[0, 0, 1]])
        clocks[env] = env.reset(1, generator()).obs[0, 0, :2].tolist()
    assert clocks == {kept: [1, 2], rebuilt: [0, 1]}


def test_as_mpe2_itself() -> None:
    """A whole episode of simple_spread, played beside in the world that it comes from."""
    arguments = {"N": 3, "max_cycles": 6}
    env, random = world("mpe2.simple_spread_v3", arguments=arguments, horizon=None), generator(1)
    theirs = simple_spread_v3.parallel_env(**arguments)
    state = env.reset(2, random)
    assert (env.spec.n_agents, env.spec.n_actions, env.spec.obs_dim, env.spec.horizon) == (3, 5, 18, 6)
    seen, _ = theirs.reset(seed=seeds(2, 1)[1])
    for t in range(6):
        assert np.array_equal(state.obs[1].numpy(), np.stack(list(seen.values())))
        assert np.array_equal(state.state[1].numpy(), theirs.state())
        actions = torch.randint(5, (2, 3), generator=random)
        told = dict(zip(theirs.agents, actions[1].tolist(), strict=True))
        state, timestep = env.step(state, actions, random)
        seen, rewards, *_ = theirs.step(told)
        assert np.allclose(timestep.rewards[1].numpy(), list(rewards.values()), rtol=1e-6)
        assert timestep.truncated.tolist() == [t == 5] * 2
        assert not timestep.terminated.any()
    assert np.array_equal(state.obs[1].numpy(), np.stack(list(seen.values())))


def test_knights_archers_and_zombies_die_and_repeat_exactly() -> None:
    """Its clock of zombies survives a reset, so the same seed gives the same episode to rebuilt copies only."""
    arguments = {"num_archers": 1, "num_knights": 1, "max_zombies": 20, "spawn_delay": 2, "max_cycles": 130}
    env = world("butterfly/knights_archers_zombies-v11", arguments=arguments, horizon=None, rebuild=True)
    assert (env.spec.n_agents, env.spec.n_actions, env.spec.horizon) == (2, 6, 130)
    batch = random_episodes(env, 2, generator(2))
    alive = batch.obs.abs().sum(-1) > 0  # B T+1 N
    assert alive[:, 0].all()
    died = ~alive & batch.filled.unsqueeze(-1)
    assert died[:, :-1].any(), "nobody died before the end"
    assert not (alive[:, 1:] & died[:, :-1]).any(), "and nobody rose again"
    only_first = torch.arange(6) == 0
    assert torch.equal(batch.avail_actions[died], only_first.expand(int(died.sum()), -1))
    assert not batch.rewards[died[:, :-1]].any()
    assert same(batch, random_episodes(env, 2, generator(2)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_of_the_current_time_step(workers: int) -> None:
    """Copies draw only once they are asked to: the picture shows the sum of what was told in this episode so far."""
    env = world(workers=workers)
    state, actions = env.reset(3, generator()), torch.tensor([[1, 1, 2], [0, 0, 1], [1, 2, 3]])
    state, _ = env.step(state, actions, generator())
    scene = env.scene(state, 2, actions[2])
    assert (scene.x_range, scene.y_range) == ((0.0, 3.0), (0.0, 2.0))
    [picture] = scene.shapes
    assert picture.rgb.tolist() == np.full((2, 3, 3), 1 + 7 + 3).tolist()  # the cook's action 2 is called 7
    state, _ = env.step(state, actions, generator())
    assert [env.scene(state, copy).shapes[0].rgb[0, 0, 0] for copy in range(3)] == [18, 12, 22]
    assert state.obs[:, 0, 3].tolist() == [18, 12, 22]
    state, _ = env.step(state, actions, generator())
    assert env.scene(state, 0).shapes[0].rgb[0, 0, 0] == 27


def test_what_cannot_draw_says_so() -> None:
    env = world("tests.envs.company:Silent")
    with pytest.raises(UserError, match=r"(?s)tests.envs.company:Silent could not be made.*render_mode"):
        env.scene(env.reset(1, generator()), 0)


def test_only_the_latest_state_can_be_stepped_on() -> None:
    env = world()
    first = env.reset(1, generator())
    env.step(first, torch.tensor([[0, 0, 1]]), generator())
    for call in (lambda: env.step(first, torch.tensor([[0, 0, 1]]), generator()), lambda: env.scene(first, 0)):
        with pytest.raises(UserError, match=r"(?s)tests.envs.company:Company has gone on since.*last reset or step"):
            call()


def test_what_has_the_methods_of_a_parallel_world_is_one() -> None:
    env = world("tests.envs.company:Duck", horizon=None)
    assert env.spec.horizon == 9
    [(state, timestep)] = play(env, [[1, 0, 1]])
    assert state.obs[0, 0, 0] == 1
    assert timestep.rewards.tolist() == [[1, 5, 1]]


def test_edges() -> None:
    assert coupling(3, None).int().tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert coupling(3, [[0, 1], [2, 1]]).int().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert not coupling(2, []).any()
    assert torch.equal(world(edges=[[2, 0]]).spec.graph, coupling(3, [[0, 2]]))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "mpe2.simple_spred_v3"}, "the module 'mpe2.simple_spred_v3' does not exist. Did you mean.*spread_v3"),
        ({"name": "mpe3.simple_spread"}, "no world mpe3.simple_spread.*next: env.name=mpe2.simple_spread_v3"),
        ({"name": ""}, "an empty name cannot be imported"),
        (
            {"name": "tests.envs.company"},
            "tests.envs.company has no parallel_env.*env.name=tests.envs.company:make_world",
        ),
        ({"name": "tests.envs.company:Compony"}, "the function 'Compony' does not exist. Did you mean 'Company'"),
        (
            {"name": "tests.envs.company:nothing"},
            "tests.envs.company:nothing is not a world of PettingZoo's parallel API",
        ),
        (
            {"name": "tests.envs.company:Nameless"},
            "tests.envs.company:Nameless does not name its agents.*possible_agents",
        ),
        ({"name": "mpe2.simple_spread_v3:env"}, "not a world of PettingZoo's parallel API.*aec_to_parallel"),
        ({"name": "sisl/pursit-v5"}, "no world sisl/pursit-v5.*next: env.name=sisl/pursuit-v5, or install"),
        ({"name": "classic/chess-v6"}, "classic/chess-v6 is not a world of PettingZoo's parallel API"),
        ({"arguments": {"size": 3}}, "could not be made: TypeError.*'size'.*given: env.arguments={'size': 3}"),
        ({"name": "tests.envs.company:wordy"}, "what cook observes has no fixed length: Sequence.*env.arguments"),
        ({"name": "tests.envs.company:strong"}, r"smith acts in MultiDiscrete\(\[2 2\]\).*valid: Discrete"),
        (
            {"name": "mpe2.simple_spread_v3", "arguments": {"continuous_actions": True}},
            r"agent_0 acts in Box\(0.0, 1.0, \(5,\), float32\).*valid: Discrete",
        ),
        ({"horizon": 0}, "horizon cannot be 0.*env.horizon=100"),
        ({"horizon": None}, "tests.envs.company:Company does not say how long.*max_cycles.*env.horizon=100"),
        ({"edges": [[0, 3]]}, r"\[0, 3\] does not couple two agents.*from 0 to 2"),
        ({"edges": [[1, 1]]}, r"\[1, 1\] does not couple two agents"),
        ({"edges": [[0, 1.5]]}, r"\[0, 1.5\] does not couple two agents"),
        ({"edges": [0, 1]}, "0 does not couple two agents"),
        (
            {"name": "simple_spread_v3"},
            "no world simple_spread_v3.*module:function.*env.name=mpe2.simple_spread_v3,",
        ),
        ({"workers": -1}, "workers cannot be -1.*valid: auto, or a number"),
    ],
)
def test_what_is_no_world_is_explained(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=f"(?s){complaint}"):
        world(**changes)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pettingzoo" else found(name))
    with pytest.raises(UserError, match=r"pip install 'pettingzoo[<>]"):
        world()


def test_a_module_that_lacks_another_one_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hungry.py").write_text("import no_such_engine\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"(?s)hungry needs no_such_engine.*pip install no_such_engine"):
        world("hungry")
