"""Worlds of VMAS against VMAS itself: what is paid, seen and ended, and whose randomness it takes."""

import random
import subprocess
import sys
from math import pi
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.scene import Disc, Label, Line, Scenic
from marlpipe.envs.vmas_scenes import outline, paint, window
from marlpipe.envs.vmas_worlds import VmasState, VmasWorld, check_arguments, drawing_from, flat
from marlpipe.errors import UserError
from marlpipe.types import Env, Timestep
from tests.support.repository import CONF

vmas = pytest.importorskip("vmas")

CONFIG = CONF / "env" / "vmas.yaml"


def world(scenario: str = "simple_spread", **changes: Any) -> VmasWorld:
    defaults: dict[str, Any] = {
        "arguments": None,
        "horizon": 100,
        "local_rewards": False,
        "time_limit_is_terminal": False,
    }
    return VmasWorld(scenario=scenario, **(defaults | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def available(env: VmasWorld, state: VmasState, random: torch.Generator) -> Tensor:
    """Uniformly random actions among those that each agent has."""
    choices = env.observe(state).avail_actions.float()
    return torch.multinomial(choices.flatten(0, 1), 1, generator=random).view(choices.shape[:2])


def play(env: VmasWorld, n: int, steps: int, seed: int = 0) -> list[Tensor]:
    """All that is seen and paid in some steps of n copies."""
    random = generator(seed)
    state, seen = env.reset(n, random), []
    for _ in range(steps):
        seen += [*state[1:]]
        state, timestep = env.step(state, available(env, state, random), random)
        seen += [*timestep]
    return seen


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("scenario", "arguments"),
    [
        ("balance", {"n_agents": 4}),
        ("navigation", {"n_agents": 3, "shared_rew": False}),
        ("wheel", {}),
    ],
)
def test_an_episode_is_that_of_the_scenario(scenario: str, arguments: dict[str, Any]) -> None:
    env = world(scenario, arguments=arguments, horizon=12)
    state = env.reset(5, generator(1))
    with drawing_from(generator(1)):
        theirs = vmas.make_env(scenario, num_envs=5, continuous_actions=False, **arguments)
        observations = theirs.reset()
    random = generator(2)
    for elapsed in range(1, 13):
        assert torch.equal(env.observe(state).obs, torch.stack(observations, dim=1))
        assert torch.equal(env.observe(state).state, torch.cat(observations, dim=1))
        actions = torch.randint(9, (5, env.spec.n_agents), generator=random)
        state, timestep = env.step(state, actions, generator())
        observations, rewards, done, _ = theirs.step(list(actions.unsqueeze(2).unbind(1)))
        paid = torch.stack([reward.view(5) for reward in rewards], dim=1)
        torch.testing.assert_close(timestep.rewards, paid / env.spec.n_agents)
        torch.testing.assert_close(timestep.rewards.sum(1), paid.mean(1))
        assert torch.equal(timestep.terminated, done.view(5))
        assert torch.equal(timestep.truncated, (elapsed == 12) & ~done.view(5))
    assert state.elapsed.tolist() == [12] * 5


def until_some_fall(env: VmasWorld) -> list[Timestep]:
    """40 steps of 32 balances, whoever fell stepped on."""
    random, timesteps = generator(), []
    state = env.reset(32, random)
    for _ in range(40):
        state, timestep = env.step(state, torch.randint(9, (32, 3), generator=random), random)
        timesteps.append(timestep)
    return timesteps


def test_the_scenarios_end_is_terminal_and_the_horizon_is_as_asked() -> None:
    cut, ended = (until_some_fall(world("balance", horizon=40, time_limit_is_terminal=end)) for end in (False, True))
    early = torch.stack([timestep.terminated for timestep in cut[:-1]])
    assert early.any()
    assert not early.all(1).any()
    assert torch.equal(early, torch.stack([timestep.terminated for timestep in ended[:-1]]))
    assert not any(timestep.truncated.any() for timestep in cut[:-1])
    assert torch.equal(cut[-1].truncated, ~cut[-1].terminated)
    assert cut[-1].truncated.any()
    assert ended[-1].terminated.all()
    assert not ended[-1].truncated.any()


def test_agents_that_differ_are_padded() -> None:
    """The speaker observes 3 numbers and has 9 moves with 3 words, the listener observes 11 and has 9 moves."""
    env = world("simple_speaker_listener")
    state = env.reset(2, generator())
    obs, whole, avail_actions = env.observe(state)
    assert (env.spec.obs_dim, env.spec.n_actions, env.spec.state_dim) == (11, 27, 22)
    assert torch.equal(avail_actions.sum(2), torch.tensor([[27, 9], [27, 9]]))
    assert avail_actions[:, 1, :9].all()
    assert not obs[:, 0, 3:].any()
    assert obs[:, 0, :3].any()
    assert torch.equal(whole, obs.flatten(1))


def test_a_flat_action_holds_a_word() -> None:
    """Actions of the speaker count words fastest: 3 · move + word."""
    env = world("simple_speaker_listener")
    state = env.reset(3, generator())
    state, _ = env.step(state, torch.tensor([[0, 0], [13, 0], [26, 0]]), generator())
    assert torch.equal(env.observe(state).obs[:, 1, -3:], torch.eye(3))


def test_observations_in_named_parts_are_joined_in_order() -> None:
    others = {"near": torch.tensor([[3.0]]), "far": torch.tensor([[[4.0, 5.0], [6.0, 7.0]]])}
    assert flat({"own": torch.tensor([[1.0, 2.0]]), "others": others}).tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    plain, parts = (world("football", arguments={"dict_obs": given}) for given in (False, True))
    sizes = [part.shape[1] for part in flat_parts(parts)]
    assert len(sizes) > 1
    assert plain.spec.obs_dim == parts.spec.obs_dim == sum(sizes)


def flat_parts(env: VmasWorld) -> list[Tensor]:
    """What the first agent observes, part by part."""
    simulator = env.reset(1, generator()).simulator
    [observations] = simulator.get_from_scenario(True, False, False, False)
    return [flat(part) for part in observations[0].values()]


@pytest.mark.parametrize("scenario", ["asym_joint", "balance"])
def test_the_seed_is_the_episode(scenario: str) -> None:
    """Also after other episodes, with other numbers of copies, and in another world."""
    env = world(scenario)
    first = play(env, 4, 15, seed=1)
    other = play(env, 2, 5, seed=2)
    assert not torch.equal(first[1][:2], other[1])
    assert same(first, play(env, 4, 15, seed=1))
    assert same(first, play(world(scenario), 4, 15, seed=1))


def test_what_is_drawn_in_a_step_follows_from_its_generator() -> None:
    """asym_joint draws noise in each step."""
    env, actions = world("asym_joint"), torch.zeros(3, 2, dtype=torch.long)

    def after(seed: int) -> Tensor:
        return env.step(env.reset(3, generator()), actions, generator(seed))[0].obs

    assert torch.equal(after(1), after(1))
    assert not torch.equal(after(1), after(2))


def everybodys_randomness() -> list[Any]:
    return [torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate()]


def test_nobody_elses_randomness_is_touched() -> None:
    env = world("asym_joint")
    before = everybodys_randomness()
    play(env, 2, 3)
    assert everybodys_randomness() == before


def test_nor_when_the_scenario_fails() -> None:
    simulator, before = world().reset(2, generator()).simulator, everybodys_randomness()
    with pytest.raises(AssertionError, match="Expecting actions for 3"), drawing_from(generator()):
        simulator.step([])
    assert everybodys_randomness() == before


def test_episodes_side_by_side_do_not_meet() -> None:
    env = world()
    actions = torch.full((2, 3), 5)
    alone, _ = env.step(env.reset(2, generator(1)), actions, generator())
    ours, others = env.reset(2, generator(1)), env.reset(2, generator(2))
    env.step(others, actions, generator())
    beside, _ = env.step(ours, actions, generator())
    assert same([*alone[1:]], [*beside[1:]])


def test_an_old_state_can_be_seen_but_not_stepped_on() -> None:
    env, actions = world(), torch.full((2, 3), 5)
    start = env.reset(2, generator())
    seen, drawn = env.observe(start).obs.clone(), env.scene(start, 0)
    after, _ = env.step(start, actions, generator())
    assert torch.equal(env.observe(start).obs, seen)
    assert env.scene(start, 0) == drawn != env.scene(after, 0)
    with pytest.raises(UserError, match=r"(?s)simple_spread has gone on.*valid: the state.*next: reset"):
        env.step(start, actions, generator())
    env.step(after, actions, generator())


def test_the_spec() -> None:
    env: Env[VmasState] = world(arguments={"n_agents": 5}, horizon=7, local_rewards=True)
    spec = env.spec
    seen = env.observe(env.reset(2, generator()))
    assert (spec.n_agents, spec.n_actions, spec.horizon, spec.local_rewards) == (5, 9, 7, True)
    assert seen.obs.shape == (2, 5, spec.obs_dim)
    assert seen.state.shape == (2, spec.state_dim)
    assert torch.equal(spec.graph, graphs.complete(5))


def test_the_config_is_a_world() -> None:
    env = instantiate(OmegaConf.load(CONFIG))
    assert (env.scenario, env.arguments, env.local_rewards) == ("balance", None, False)
    assert (env.spec.n_agents, env.spec.horizon, env.time_limit_is_terminal) == (3, 100, False)
    OmegaConf.update(config := OmegaConf.load(CONFIG), "arguments", {"n_agents": 2})
    assert instantiate(config).spec.n_agents == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scenario": "balanc"}, r"'balanc' does not exist\. Did you mean 'balance'.*simple_spread"),
        ({"scenario": "../balance"}, "does not exist"),
        ({"arguments": {"n_agnts": 3}}, r"simple_spread 'n_agnts' does not exist\. Did you mean 'n_agents'"),
        ({"arguments": {"max_steps": 3}}, "'max_steps' does not exist"),
        (
            {"arguments": {"n_agents": "two"}},
            r"cannot be built with \{'n_agents': 'two'\}: TypeError\(.*valid: .*n_agents.*next: ",
        ),
        ({"arguments": {"n_agents": 0}}, "cannot be built with .*it has no agent"),
        ({"horizon": 0}, r"horizon=0 is not possible.*from 1 to .*env\.horizon=1"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=rf"(?s){told}"):
        world(**changes)


def test_arguments_have_names() -> None:
    with pytest.raises(UserError, match=r"(?s)arguments cannot be 3.*obs_agents.*'env\.arguments=\{n_agents: 2\}'"):
        check_arguments("simple_spread", 3, ["n_agents", "obs_agents"])


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vmas", None)
    with pytest.raises(UserError, match=r"pip install 'vmas[<>]"):
        world()


def test_vmas_is_imported_when_it_is_used_and_without_gyms_notice() -> None:
    script = """
import sys
from marlpipe.envs.vmas_worlds import VmasWorld
print(sorted({"vmas", "gym", "pyglet"} & set(sys.modules)))
import gym_notices.notices
from importlib.metadata import version
gym_notices.notices.notices[version("gym")] = "gym is old"
VmasWorld(scenario="simple", arguments=None, horizon=5, local_rewards=False, time_limit_is_terminal=False)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_an_outline_is_turned_about_its_centre() -> None:
    corners = [pytest.approx(point) for point in [(1.5, 0.0), (1.5, 4.0), (0.5, 4.0), (0.5, 0.0), (1.5, 0.0)]]
    assert outline(4.0, 1.0, (1.0, 2.0), pi / 2) == corners
    assert outline(2.0, 0.0, (0.0, 0.0), 0.0)[:3] == [(-1, 0), (1, 0), (1, 0)]


def test_colours_of_all_copies_and_of_each() -> None:
    assert paint((0.75, 0.25, 0.0), 1) == "#bf4000"
    assert paint(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.4, -0.1]]), 1) == "#00ff00"


def test_the_window_widens_in_proportion() -> None:
    scenario = SimpleNamespace(viewer_size=(800, 400), viewer_zoom=1.5, render_origin=(1.0, 0.0))
    assert window(scenario, [(1.0, 0.0), (3.0, 1.0)], 0.1) == ((-2.0, 4.0), (-1.5, 1.5))
    across, up = window(scenario, [(1.0, 0.0), (1.0, -2.9)], 0.1)
    assert across == pytest.approx((-5.0, 7.0))
    assert up == pytest.approx((-3.0, 3.0))


def test_a_scene_shows_the_entities_of_a_copy() -> None:
    env = world("balance")
    assert isinstance(env, Scenic)
    state = env.reset(2, generator())
    entities = state.simulator.world.entities
    scene = env.scene(state, 1, torch.tensor([4, 0, 8]))
    discs, lines, labels = ([s for s in scene.shapes if isinstance(s, kind)] for kind in (Disc, Line, Label))
    assert len(discs) + len(lines) == len(entities)
    assert [label.text for label in labels] == ["4", "0", "8"]
    agents = [disc for disc in discs if disc.edge == "black"]
    for disc, label, agent in zip(agents, labels, state.simulator.agents, strict=True):
        x, y = agent.state.pos[1].tolist()
        assert disc == Disc((x, y), agent.shape.radius, "#4040bf", "black")
        assert label.centre == pytest.approx((x, y + 2 * agent.shape.radius))
    floor = next(index for index, entity in enumerate(entities) if type(entity.shape).__name__ == "Box")
    assert len(env.scene(state, 1).shapes) == len(entities)
    visible = state.visible.clone()
    visible[1, floor] = False
    hidden = env.scene(state._replace(visible=visible), 1)
    assert len(hidden.shapes) == len(entities) - 1
