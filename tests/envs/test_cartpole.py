"""Coupled-Multi-Cart-Pole against golden numbers, hand-computed springs and a cart-by-cart simulation."""

from math import cos, hypot, radians, sin, sqrt
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.cartpole import CartPole, CartPoleState, has_fallen, stretch
from marlpipe.errors import UserError
from marlpipe.types import Env, Timestep
from tests.support.repository import CONF

CONFIG = CONF / "env" / "cartpole.yaml"
LEANING = radians(13)


def world(**changes: Any) -> CartPole:
    defaults: dict[str, Any] = {
        "n_agents": 3,
        "time_limit": 200,
        "spring": 10.0,
        "cart_distance": 1.0,
        "force": 10.0,
        "observation_radius": 0,
        "termination": "all",
        "edge_springs": True,
        "time_limit_is_terminal": True,
    }
    return CartPole(**(defaults | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at_home(angle: Tensor, elapsed: int = 0) -> CartPoleState:
    """Carts at rest at home, 1 m apart, with these angles (B N)."""
    rest = torch.zeros_like(angle)
    return CartPoleState(
        x=rest + torch.arange(angle.shape[1]),
        velocity=rest,
        angle=angle,
        angular_velocity=rest,
        elapsed=torch.full((len(angle),), elapsed),
    )


def advance(env: CartPole, state: CartPoleState, actions: list[int]) -> tuple[CartPoleState, Timestep]:
    """The same joint action in every copy."""
    return env.step(state, torch.tensor(actions).expand(len(state.x), -1), generator())


def wild_states(env: CartPole, n: int, seed: int = 0) -> CartPoleState:
    """Far from home and fast, some of them fallen, in float64."""
    n_agents = env.spec.n_agents
    x, velocity, angle, angular_velocity = torch.randn(4, n, n_agents, generator=generator(seed), dtype=torch.float64)
    home = torch.arange(n_agents) * env.cart_distance
    elapsed = torch.zeros(n, dtype=torch.long)
    return CartPoleState(home + 0.3 * x, velocity, 0.15 * angle, angular_velocity, elapsed)


def step_cart_by_cart(env: CartPole, carts: list[list[float]], actions: list[int]) -> None:
    """One copy advanced in place and in index order, written from the equations with nothing but floats."""
    n, c = len(carts), env.cart_distance
    fallen = [abs(angle) > radians(12) or x < -c or x > n * c for x, _, angle, _ in carts]
    for i, (x, velocity, angle, angular_velocity) in enumerate(carts):
        if fallen[i]:
            continue
        force = env.force if actions[i] else -env.force
        if i > 0 or env.edge_springs:
            force += env.spring * ((carts[i - 1][0] if i > 0 else -c) - x + c)
        if i < n - 1 or env.edge_springs:
            force += env.spring * ((carts[i + 1][0] if i < n - 1 else n * c) - x - c)
        thrust = (force + 0.05 * angular_velocity**2 * sin(angle)) / 1.1
        spin = (9.8 * sin(angle) - thrust * cos(angle)) / (0.5 * (4 / 3 - 0.1 * cos(angle) ** 2 / 1.1))
        acceleration = thrust - 0.05 * spin * cos(angle) / 1.1
        carts[i][:] = (
            x + 0.02 * velocity,
            velocity + 0.02 * acceleration,
            angle + 0.02 * angular_velocity,
            angular_velocity + 0.02 * spin,
        )


def play(env: CartPole, copies: int, policy: Any, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Returns and lengths (B) of one episode in each copy."""
    random = generator(seed)
    state, live = env.reset(copies, random), torch.ones(copies, dtype=torch.bool)
    returns, lengths = torch.zeros(copies), torch.zeros(copies)
    while live.any():
        state, timestep = env.step(state, policy(random), random)
        returns += timestep.rewards.sum(1) * live
        lengths += live
        live &= ~(timestep.terminated | timestep.truncated)
    return returns, lengths


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-8)])
@pytest.mark.parametrize("copies", [1, 64])
def test_golden_numbers(copies: int, dtype: torch.dtype, tolerance: float) -> None:
    env, i = world(), torch.arange(3, dtype=dtype)
    one = CartPoleState(i + 0.05 * (i - 1), 0.01 * i, 0.02 + 0 * i, -0.03 * i, torch.tensor(0))
    state = CartPoleState(*(field.expand(copies, *field.shape) for field in one))
    golden = {
        (1, 0, 1): [
            [-0.05, 0.21434112, 0.02, -0.31556777],
            [0.0002, -0.18540297, 0.0194, 0.26892544],
            [0.0504, 0.19535697, 0.0188, -0.31710324],
        ],
        (0, 0, 1): [
            [-0.04571318, 0.03849073, 0.01368864, -0.04596533],
            [-0.00350806, -0.37995989, 0.02477851, 0.56640916],
            [0.05430714, 0.3698539, 0.01245794, -0.57327551],
        ],
    }
    for actions, rows in golden.items():
        state, timestep = advance(env, state, list(actions))
        expected = torch.tensor(rows, dtype=dtype).expand(copies, -1, -1)
        torch.testing.assert_close(env.observe(state).obs, expected, atol=tolerance, rtol=0)
        assert (timestep.rewards == 1).all()


@pytest.mark.parametrize("edge_springs", [True, False])
@pytest.mark.parametrize("n_agents", [1, 2, 5])
def test_as_a_simulation_cart_by_cart(n_agents: int, edge_springs: bool) -> None:
    env = world(n_agents=n_agents, edge_springs=edge_springs, cart_distance=0.8, spring=7.0, force=3.0)
    state = wild_states(env, 64)
    assert 0.1 < has_fallen(state.x, state.angle, 0.8).double().mean() < 0.9
    carts = torch.stack(state[:4], dim=2).tolist()
    for seed in range(5):
        actions = torch.randint(2, (64, n_agents), generator=generator(seed))
        for copy, joint_action in zip(carts, actions.tolist(), strict=True):
            step_cart_by_cart(env, copy, joint_action)
        state, _ = env.step(state, actions, generator())
        torch.testing.assert_close(torch.stack(state[:4], dim=2), torch.tensor(carts, dtype=torch.float64))


def test_springs_by_hand() -> None:
    x, moved = torch.tensor([[0.1, 0.9, 2.3]]), torch.tensor([[0.2, 0.7, 2.3]])
    tied = stretch(x, moved, distance=1.0, edge_springs=True)
    loose = stretch(x, moved, distance=1.0, edge_springs=False)
    # Cart 0: wall −1 (−0.1), cart 1 before it moves (−0.2). Cart 1: cart 0 after it moved (0.3), cart 2 (0.4).
    # Cart 2: cart 1 after it moved (−0.6), wall 3 (−0.3).
    torch.testing.assert_close(tied, torch.tensor([[-0.3, 0.7, -0.9]]))
    torch.testing.assert_close(loose, torch.tensor([[-0.2, 0.7, -0.6]]))


def test_a_fallen_cart_stays_an_anchor() -> None:
    env, angle = world(n_agents=2), torch.tensor([[0.0, LEANING]])
    state = at_home(angle)._replace(x=torch.tensor([[0.0, 1.5]]), velocity=torch.tensor([[0.0, 1.0]]))
    state, _ = advance(env, state, [1, 1])
    # 10 N of push and 10 · 0.5 N of pull; upright and at rest ẍ = F/M · (4/3) / (4/3 − m/M)
    torch.testing.assert_close(state.velocity[0, 0], torch.tensor(0.02 * 15 / 1.1 * (4 / 3) / (4 / 3 - 0.1 / 1.1)))
    assert state.x[0, 1] == 1.5


@pytest.mark.parametrize("fall", [{"angle": LEANING}, {"angle": -LEANING}, {"x": -1.01}, {"x": 3.01}])
def test_the_fallen_stay_as_they_fell(fall: dict[str, float]) -> None:
    env, state = world(), at_home(torch.zeros(1, 3))
    fields = {name: getattr(state, name).clone() for name in state._fields}
    for name, value in ({"velocity": -0.7, "angular_velocity": 0.4} | fall).items():
        fields[name][0, 1] = value
    start = CartPoleState(**fields)
    state = start
    for actions in ([1, 1, 1], [0, 0, 0], [0, 1, 0]):
        state, timestep = advance(env, state, actions)
        assert timestep.rewards.tolist() == [[1, 0, 1]]
    for before, after in zip(start[:4], state[:4], strict=True):
        assert before[0, 1] == after[0, 1]
        assert (before[0, [0, 2]] != after[0, [0, 2]]).all()


def test_the_bounds_of_standing() -> None:
    angle = torch.tensor([[radians(11.99), radians(12.01), -radians(11.99), -radians(12.01)]])
    assert has_fallen(torch.ones(1, 4), angle, 2.0).tolist() == [[False, True, False, True]]
    x = torch.tensor([[-1.99, -2.01, 7.99, 8.01]])
    assert has_fallen(x, torch.zeros(1, 4), 2.0).tolist() == [[False, True, False, True]]


def test_team_reward_of_figure_3() -> None:
    """Three carts, the right-most has fallen: the team is paid 2."""
    _, timestep = advance(world(), at_home(torch.tensor([[0.0, 0.0, LEANING]])), [0, 1, 0])
    assert timestep.rewards.sum(1).tolist() == [2]


@pytest.mark.parametrize(
    ("termination", "terminated"),
    [("all", [False, False, True]), ("any", [False, True, True]), ("endless", [False, False, False])],
)
def test_termination(termination: str, terminated: list[bool]) -> None:
    state = at_home(torch.tensor([[0.0, 0.0, 0.0], [0.0, LEANING, 0.0], [LEANING, -LEANING, LEANING]]))
    _, timestep = advance(world(termination=termination), state, [0, 0, 0])
    assert timestep.terminated.tolist() == terminated
    assert not timestep.truncated.any()


def test_the_step_after_the_last_fall_ends_the_episode_and_pays_nothing() -> None:
    env, almost = world(n_agents=2), torch.full((1, 2), radians(11.9))
    state = at_home(almost)._replace(angular_velocity=torch.ones(1, 2))
    state, falling = advance(env, state, [0, 0])
    assert has_fallen(state.x, state.angle, 1.0).all()
    assert (falling.rewards.tolist(), falling.terminated.tolist()) == ([[1, 1]], [False])
    _, last = advance(env, state, [0, 0])
    assert (last.rewards.tolist(), last.terminated.tolist()) == ([[0, 0]], [True])


@pytest.mark.parametrize("termination", ["all", "any", "endless"])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_time_limit(terminal: bool, termination: str) -> None:
    env = world(time_limit=7, time_limit_is_terminal=terminal, termination=termination)
    state, early = advance(env, at_home(torch.zeros(2, 3), elapsed=5), [0, 1, 0])
    assert not (early.terminated | early.truncated).any()
    state, last = advance(env, state, [0, 1, 0])
    assert state.elapsed.tolist() == [7, 7]
    assert last.terminated.tolist() == [terminal] * 2
    assert last.truncated.tolist() == [not terminal] * 2


@pytest.mark.parametrize("terminal", [True, False])
def test_all_fallen_at_the_time_limit_is_terminal_either_way(terminal: bool) -> None:
    env = world(time_limit=7, time_limit_is_terminal=terminal)
    _, last = advance(env, at_home(torch.full((1, 3), LEANING), elapsed=6), [0, 1, 0])
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([True], [False])


def test_what_is_observed() -> None:
    env = world(observation_radius=2, cart_distance=2.0)
    own = torch.arange(24.0).reshape(2, 3, 4)  # B N 4
    x, velocity, angle, angular_velocity = own.unbind(2)
    state = CartPoleState(x + torch.tensor([0, 2, 4]), velocity, angle, angular_velocity, torch.zeros(2).long())
    seen, nobody = env.observe(state), torch.zeros(4)
    for copy, (first, second, third) in enumerate(own):
        assert torch.equal(seen.obs[copy, 0], torch.cat([nobody, nobody, first, second, third]))
        assert torch.equal(seen.obs[copy, 1], torch.cat([nobody, first, second, third, nobody]))
        assert torch.equal(seen.obs[copy, 2], torch.cat([first, second, third, nobody, nobody]))
        assert torch.equal(seen.state[copy], torch.cat([first, second, third]))
    assert torch.equal(seen.state, seen.obs.flatten(1)[:, env.spec.state_in_obs])
    assert seen.avail_actions.shape == (2, 3, 2)
    assert seen.avail_actions.all()
    assert torch.equal(world(cart_distance=2.0).observe(state).obs, own)


@pytest.mark.parametrize("radius", [0, 1])
def test_the_spec_tells_the_shapes(radius: int) -> None:
    env: Env[CartPoleState] = world(n_agents=15, observation_radius=radius)
    seen = env.observe(env.reset(4, generator()))
    assert seen.obs.shape == (4, 15, env.spec.obs_dim) == (4, 15, 4 * (2 * radius + 1))
    assert seen.state.shape == (4, env.spec.state_dim) == (4, 60)
    assert (env.spec.n_actions, env.spec.horizon, env.spec.local_rewards) == (2, 200, True)
    assert torch.equal(env.spec.graph, graphs.line(15))


def test_the_start() -> None:
    env = world(n_agents=4, cart_distance=3.0)
    state = env.reset(2000, generator())
    assert state.x.dtype == torch.float32
    assert (state.elapsed == 0).all()
    carts = env.observe(state).obs.flatten(0, 1)
    for reach, (low, high) in zip([0.1, 0.05, 0.05, 0.05], zip(carts.amin(0), carts.amax(0), strict=True), strict=True):
        assert -reach - 1e-6 < low < -0.99 * reach
        assert 0.99 * reach < high < reach + 1e-6
    assert torch.corrcoef(carts.T).fill_diagonal_(0).abs().max() < 0.05


def test_copies_do_not_meet() -> None:
    env = world(n_agents=5)
    together = wild_states(env, 16)
    actions = torch.randint(2, (16, 5), generator=generator())
    after, timestep = env.step(together, actions, generator())
    for copy in range(16):
        alone = CartPoleState(*(field[copy : copy + 1] for field in together))
        own_after, own_timestep = env.step(alone, actions[copy : copy + 1], generator())
        for batched, single in zip([*after, *timestep], [*own_after, *own_timestep], strict=True):
            torch.testing.assert_close(batched[copy : copy + 1], single, rtol=1e-12, atol=1e-12)


def test_a_step_leaves_the_state_before_it_alone() -> None:
    env = world()
    state = wild_states(env, 8)
    copy = CartPoleState(*(field.clone() for field in state))
    advance(env, state, [0, 1, 1])
    assert all(torch.equal(kept, field) for kept, field in zip(copy, state, strict=True))


def test_the_seed_is_the_episode() -> None:
    env = world()

    def random_policy(random: torch.Generator) -> Tensor:
        return torch.randint(2, (8, 3), generator=random)

    returns, lengths = play(env, 8, random_policy, seed=1)
    again = play(env, 8, random_policy, seed=1)
    assert torch.equal(returns, again[0])
    assert torch.equal(lengths, again[1])
    assert not torch.equal(returns, play(env, 8, random_policy, seed=2)[0])


def apart(mean: float, deviation: float, theirs: int, ours: int, *, rounded: float = 0.0) -> Any:
    """Within two standard errors of a mean that was itself a sample's, and told to within ± `rounded`."""
    return pytest.approx(mean, abs=rounded + 2 * deviation * hypot(1 / sqrt(theirs), 1 / sqrt(ours)))


def test_random_policy_as_in_the_authors_code() -> None:
    """355 ± 52 in 200 episodes of 56 env steps on average, in the authors' environment with 15 carts."""
    returns, lengths = play(world(n_agents=15), 2000, lambda random: torch.randint(2, (2000, 15), generator=random))
    assert returns.mean().item() == apart(355, 52, 200, 2000)
    assert lengths.mean().item() == apart(56, lengths.std().item(), 200, 2000, rounded=0.5)


@pytest.mark.parametrize("action", [0, 1])
def test_constant_action_as_in_the_authors_code(action: int) -> None:
    """141.5 ± 3 in 50 episodes of the authors' environment with 15 carts: where IQL with the team's reward ends."""
    returns, _ = play(world(n_agents=15), 1000, lambda _: torch.full((1000, 15), action))
    assert returns.mean().item() == apart(141.5, 3, 50, 1000)


def test_the_config_is_the_default_world() -> None:
    env = instantiate(OmegaConf.load(CONFIG))
    assert vars(env) | {"spec": None} == vars(world()) | {"spec": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_agents", 0),
        ("time_limit", 0),
        ("observation_radius", -1),
        ("spring", -1.0),
        ("spring", float("nan")),
        ("cart_distance", 0.0),
        ("cart_distance", float("inf")),
        ("force", 0.0),
    ],
)
def test_a_bad_value_is_named(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"(?s){name}={value} is not possible.*valid: a .*number.*env\.{name}=1"):
        world(**{name: value})
    world(**{name: type(value)(1)})


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_termination_is_answered_with_the_known() -> None:
    with pytest.raises(UserError, match=r"(?s)termination 'al'.*'all'.*valid: all, any, endless"):
        world(termination="al")


def test_no_springs() -> None:
    env = world(spring=0.0)
    near = at_home(torch.zeros(1, 3))
    far = near._replace(x=torch.tensor([[0.5, 0.9, 2.9]]))
    assert torch.equal(advance(env, near, [1, 1, 1])[0].velocity, advance(env, far, [1, 1, 1])[0].velocity)
