"""The linear bandit against hand-computed regrets, its bounds, and the distributions that it draws from."""

from math import sqrt
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe.envs.linear_bandit import BanditState, LinearBandit, expected_rewards, in_ball, on_sphere, regret
from marlpipe.envs.scene import Box, Label, Scenic
from marlpipe.errors import UserError
from marlpipe.types import Env
from tests.support.repository import CONF

CONFIG = CONF / "env" / "linear_bandit.yaml"

# Two agents with three and again three actions in two dimensions: rows are θ*_i0, θ*_i1 and θ*_i2.
PARAMETERS = torch.tensor([[[0.5, 0.0], [0.0, 0.5], [-0.3, -0.4]], [[0.0, 0.25], [0.4, 0.3], [0.0, 0.0]]])


def world(**changes: Any) -> LinearBandit:
    defaults: dict[str, Any] = {
        "n_agents": 4,
        "n_actions": 3,
        "context_dim": 5,
        "horizon": 100,
        "context_radius": 1.0,
        "noise": 0.1,
        "instance_seed": 0,
        "contexts": None,
    }
    return LinearBandit(**(defaults | changes))


def by_hand(**changes: Any) -> LinearBandit:
    """The world of PARAMETERS."""
    env = world(n_agents=2, context_dim=2, **changes)
    env.parameters = PARAMETERS
    return env


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_expected_rewards_and_regret_by_hand() -> None:
    contexts = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, -1.0]])
    means = torch.tensor(
        [
            [[0.5, 0.0, -0.3], [0.0, 0.4, 0.0]],
            [[0.3, 0.4, -0.5], [0.2, 0.48, 0.0]],
            [[0.0, -0.5, 0.4], [-0.25, -0.3, 0.0]],
        ]
    )
    torch.testing.assert_close(expected_rewards(contexts, PARAMETERS), means)
    best = torch.tensor([[0, 1], [1, 1], [2, 2]])
    assert torch.equal(regret(contexts, best, PARAMETERS), torch.zeros(3))
    actions = torch.tensor([[2, 0], [0, 2], [1, 1]])
    # 0.5 + 0.3 and 0.4 − 0;  0.4 − 0.3 and 0.48 − 0;  0.4 + 0.5 and 0 + 0.3
    torch.testing.assert_close(regret(contexts, actions, PARAMETERS), torch.tensor([1.2, 0.58, 1.2]))


def test_regret_of_rounds_of_copies_is_that_of_each() -> None:
    contexts = on_sphere((7, 4, 5), 1.0, generator())
    actions = torch.randint(3, (7, 4, 6), generator=generator())
    parameters = in_ball((6, 3, 5), 1 / 6, generator(1))
    together = regret(contexts, actions, parameters)
    assert together.shape == (7, 4)
    assert (together >= 0).all()
    for t in range(7):
        for copy in range(4):
            means = [[float(contexts[t, copy] @ theta) for theta in agent] for agent in parameters]
            lost = sum(max(row) - row[int(a)] for row, a in zip(means, actions[t, copy], strict=True))
            assert together[t, copy].item() == pytest.approx(lost, abs=1e-6)


@pytest.mark.parametrize("radius", [1.0, 0.3])
def test_contexts_are_uniform_on_the_sphere(radius: float) -> None:
    points = on_sphere((20000, 3), radius, generator())
    torch.testing.assert_close(points.norm(dim=1), torch.full((20000,), radius))
    # Archimedes: each coordinate of a uniform point of the sphere in three dimensions is itself uniform.
    shares = torch.histc(points[:, 0] / radius, bins=10, min=-1, max=1) / 20000
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=5 * sqrt(0.1 * 0.9 / 20000), rtol=0)
    assert torch.corrcoef(points.T).fill_diagonal_(0).abs().max() < 5 / sqrt(20000)


def test_parameters_fill_the_ball() -> None:
    norms = in_ball((100, 200, 3), 0.25, generator()).norm(dim=2)
    assert norms.max() <= 0.25 * (1 + 1e-6)
    for share in (0.3, 0.6, 0.9):
        assert (norms < share * 0.25).double().mean().item() == pytest.approx(share**3, abs=5 / sqrt(4 * 20000))


@pytest.mark.parametrize("n_agents", [1, 4, 9])
def test_no_block_can_expect_more_than_one(n_agents: int) -> None:
    """|E[r_J]| is highest where x points along the parameters: at most Σ_i max_k S_x ‖θ*_ik‖."""
    for seed in range(20):
        parameters = world(n_agents=n_agents, instance_seed=seed).parameters
        assert parameters.shape == (n_agents, 3, 5)
        norms = parameters.norm(dim=2)
        assert (norms > 0).all()
        assert norms.max() <= (1 + 1e-6) / n_agents
        assert norms.amax(1).sum() <= 1 + 1e-6


def test_rewards_are_the_means_and_the_noise_of_each_block() -> None:
    """R_J = 0.1 √|J|: the noises of agents are Gaussian, independent, and the same whatever the agents do."""
    env = by_hand()
    context = torch.tensor([[0.6, 0.8]]).expand(40000, -1)
    actions = torch.tensor([[1, 2]]).expand(40000, -1)
    _, timestep = env.step(BanditState(context, torch.zeros(40000).long()), actions, generator())
    noise = timestep.rewards - torch.tensor([0.4, 0.0])
    agents, team = noise.std(0), noise.sum(1).std().item()
    for deviation, size in ((agents[0].item(), 1), (agents[1].item(), 1), (team, 2)):
        # the standard error of a Gaussian's sample deviation is σ / √(2 B)
        assert deviation == pytest.approx(0.1 * sqrt(size), rel=4 / sqrt(2 * 40000))
    assert noise.mean(0).abs().max() < 4 * 0.1 / sqrt(40000)
    assert (noise.abs() < 0.1).double().mean().item() == pytest.approx(0.6827, abs=0.01)


def test_without_noise_rewards_are_the_means() -> None:
    env = by_hand(noise=0.0)
    state = BanditState(torch.tensor([[0.6, 0.8], [0.0, -1.0]]), torch.tensor([0, 5]))
    _, timestep = env.step(state, torch.tensor([[0, 2], [2, 1]]), generator())
    torch.testing.assert_close(timestep.rewards, torch.tensor([[0.3, 0.0], [0.4, -0.3]]))


def test_rounds_end_in_a_true_terminal() -> None:
    env = world(horizon=3)
    state = env.reset(2, generator())
    ends = []
    for _ in range(3):
        state, timestep = env.step(state, torch.zeros(2, 4, dtype=torch.long), generator())
        ends.append(timestep.terminated.tolist())
        assert not timestep.truncated.any()
    assert ends == [[False] * 2, [False] * 2, [True] * 2]
    assert state.elapsed.tolist() == [3, 3]


def test_everyone_sees_the_context_and_a_new_one_in_each_round() -> None:
    env: Env[BanditState] = world(context_radius=0.5)
    state = env.reset(6, generator())
    random, seen = generator(3), []
    for _ in range(4):
        obs, context, avail_actions = env.observe(state)
        assert torch.equal(obs, context.unsqueeze(1).expand(6, 4, 5))
        assert context.shape == (6, env.spec.state_dim)
        assert avail_actions.shape == (6, 4, 3)
        assert avail_actions.all()
        torch.testing.assert_close(context.norm(dim=1), torch.full((6,), 0.5))
        seen.append(context)
        state, _ = env.step(state, torch.zeros(6, 4, dtype=torch.long), random)
    everything = torch.cat(seen)
    assert len(everything.unique(dim=0)) == len(everything)


def test_the_spec() -> None:
    spec = world(n_agents=3, n_actions=2, context_dim=7, horizon=9).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim, spec.state_dim, spec.horizon) == (3, 2, 7, 7, 9)
    assert spec.local_rewards
    assert not spec.graph.any()


def test_contexts_of_an_adversary() -> None:
    rows = [[0.6, 0.8], [0.0, -1.0], [0.1, 0.2]]
    env = by_hand(horizon=3, contexts=rows)
    state = env.reset(2, generator())
    for row in [*rows, rows[-1]]:  # after the last round nothing is decided any more
        assert torch.equal(state.context, torch.tensor([row, row]))
        state, _ = env.step(state, torch.zeros(2, 2, dtype=torch.long), generator())


@pytest.mark.parametrize(
    ("contexts", "reason"),
    [
        ([[1, 0], [0]], r"not a table of numbers.*env\.context_dim=2.*env\.contexts=null"),
        ([["a", 0]], "not a table of numbers"),
        ([[1, 0]], r"shape \(1, 2\).*env\.horizon=2 rows"),
        ([[1, 0, 0], [1, 0, 0]], r"shape \(2, 3\)"),
        ([[1, 0], [0.8, 0.7]], r"norm 1\.06301.*at most env\.context_radius=1\.0"),
        ([[1, 0], [float("nan"), 0]], "norm nan"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(contexts: list[list[Any]], reason: str) -> None:
    with pytest.raises(UserError, match=rf"(?s){reason}"):
        world(context_dim=2, horizon=2, contexts=contexts)


def play(env: LinearBandit, seed: int, n: int = 5) -> list[Tensor]:
    random = generator(seed)
    state, moments = env.reset(n, random), []
    for _ in range(4):
        actions = torch.randint(3, (n, 4), generator=random)
        state, timestep = env.step(state, actions, random)
        moments += [state.context, timestep.rewards]
    return moments


def test_the_seed_is_the_episode_and_the_instance_has_its_own() -> None:
    before = torch.get_rng_state()
    moments = play(world(), 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(moments, play(world(), 1), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(moments, play(world(), 2), strict=True))
    assert torch.equal(world(instance_seed=3).parameters, world(instance_seed=3, noise=0.5).parameters)
    assert not torch.equal(world(instance_seed=3).parameters, world(instance_seed=4).parameters)


def test_copies_do_not_meet() -> None:
    env = world(noise=0.0)
    state = env.reset(8, generator())
    actions = torch.randint(3, (8, 4), generator=generator())
    _, together = env.step(state, actions, generator())
    for copy in range(8):
        alone = BanditState(*(entry[copy : copy + 1] for entry in state))
        _, timestep = env.step(alone, actions[copy : copy + 1], generator())
        torch.testing.assert_close(timestep.rewards, together.rewards[copy : copy + 1])


def test_a_scene_has_a_bar_for_each_mean() -> None:
    env = by_hand()
    assert isinstance(env, Scenic)
    state = BanditState(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([0, 0]))
    scene = env.scene(state, 1, torch.tensor([2, 1]))
    bars = [shape for shape in scene.shapes if isinstance(shape, Box)]
    # S_x · S_θ = 1/2 is the full height; bars below the axis start at their lower end
    heights = [bar.height if bar.corner[1] == 0 else bar.corner[1] for bar in bars]
    assert heights == pytest.approx([0.6, 0.8, -1.0, 0.4, 0.96, 0.0], abs=1e-6)
    assert all(bar.height >= 0 for bar in bars)
    assert [bar.colour == "tab:orange" for bar in bars] == [False, False, True, False, True, False]
    assert [shape.text for shape in scene.shapes if isinstance(shape, Label)] == ["agent 0", "agent 1"]
    still = env.scene(state, 1)
    assert {bar.colour for bar in still.shapes if isinstance(bar, Box)} == {"lightgrey"}


def test_the_config_is_the_default_world() -> None:
    env, ours = instantiate(OmegaConf.load(CONFIG)), world()
    assert torch.equal(env.parameters, ours.parameters)
    apart = {"spec": None, "parameters": None}
    assert vars(env) | apart == vars(ours) | apart


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("n_agents", 0, 1),
        ("n_actions", 0, 2),
        ("context_dim", 0, 1),
        ("horizon", -1, 1),
        ("instance_seed", -1, 0),
        ("context_radius", 0.0, 0.1),
        ("context_radius", 1.1, 1.0),
        ("context_radius", float("nan"), 0.5),
        ("noise", -0.1, 0.0),
        ("noise", float("inf"), 2.0),
    ],
)
def test_a_bad_value_is_named(name: str, value: float, valid: float) -> None:
    with pytest.raises(UserError, match=rf"(?s){name}={value} is not possible.*valid: .*env\.{name}="):
        world(**{name: value})
    world(**{name: valid})


def test_the_draws_of_a_seed() -> None:
    """All contexts and noises of its rounds at once, as `reset` and `step` have them, one by one."""
    env = world(horizon=20000, context_radius=0.5, noise=0.3)
    contexts, noises = env.draws(generator())
    assert (contexts.shape, noises.shape) == ((20000, 5), (20000, 4))
    torch.testing.assert_close(contexts.norm(dim=1), torch.full((20000,), 0.5))
    assert contexts.mean(0).abs().max() < 4 * 0.5 / sqrt(5 * 20000)
    torch.testing.assert_close(noises.std(0), torch.full((4,), 0.3), rtol=4 / sqrt(2 * 20000), atol=0)
    assert torch.corrcoef(noises.T).fill_diagonal_(0).abs().max() < 4 / sqrt(20000)
    assert torch.equal(env.draws(generator())[1], noises)
    assert not torch.equal(env.draws(generator(1))[1], noises)
    rows = torch.tensor([[0.6, 0.8], [0.0, -1.0], [0.1, 0.2]])
    assert torch.equal(by_hand(horizon=3, contexts=rows.tolist()).draws(generator())[0], rows)


@pytest.mark.parametrize("n_agents", [1, 4])
def test_the_radius_of_the_parameters(n_agents: int) -> None:
    assert world(n_agents=n_agents).parameter_radius == 1 / n_agents
