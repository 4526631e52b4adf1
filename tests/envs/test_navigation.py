"""Bounded-Cooperative-Navigation against golden numbers, hand-computed cases and a particle-by-particle simulation."""

from math import cos, exp, hypot, inf, log1p, sin, sqrt
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.navigation import Navigation, NavigationState, grid
from marlpipe.envs.navigation_particles import REGIONS, distances
from marlpipe.envs.scene import Box, Disc, Line, Scenic
from marlpipe.errors import UserError
from marlpipe.models.graphs import neighbourhoods
from marlpipe.types import Env, Timestep
from tests.support.repository import CONF

CONFIGS = CONF / "env"
PAIR = {"agent_centres": [[0.0, 0.0], [0.0, 0.0]], "landmark_centres": [[0.0, 0.0]]}
CROWD = {"columns": 3, "rows": 2, "column_distance": 0.4, "row_distance": 0.3, "odd_column_shift": 0.1}


def options(name: str) -> dict[str, Any]:
    """What a file of conf/env says, without what it takes over from another."""
    return {key: value for key, value in OmegaConf.load(CONFIGS / f"{name}.yaml").items() if key != "defaults"}


def world(**changes: Any) -> Navigation:
    """The world of navigation.yaml, changed."""
    return Navigation(**{key: value for key, value in (options("navigation") | changes).items() if key != "_target_"})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def state_of(velocity: Any, position: Any, landmarks: Any, elapsed: int = 0) -> NavigationState:
    """One copy in float64."""
    fields = (torch.tensor([field], dtype=torch.float64) for field in (velocity, position, landmarks))
    return NavigationState(*fields, torch.tensor([elapsed]))


def resting(position: Any, landmarks: Any, elapsed: int = 0) -> NavigationState:
    return state_of([[0.0, 0.0]] * len(position), position, landmarks, elapsed)


def wild(env: Navigation, n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> NavigationState:
    """n copies as after a reset, but moving."""
    start = env.reset(n, generator(seed))
    velocity = torch.randn(start.velocity.shape, generator=generator(seed + 1))
    return NavigationState(velocity.to(dtype), start.position.to(dtype), start.landmarks.to(dtype), start.elapsed)


def advance(env: Navigation, state: NavigationState, actions: list[int]) -> tuple[NavigationState, Timestep]:
    """The same joint action in every copy."""
    return env.step(state, torch.tensor(actions).expand(len(state.position), -1), generator())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-8)])
@pytest.mark.parametrize(("copies", "rows"), [(1, [0]), (257, [0, 100, 256])])
def test_golden_numbers(copies: int, rows: list[int], dtype: torch.dtype, tolerance: float) -> None:
    env = world(**PAIR)
    golden = state_of([[0.0, 0.0], [-0.2, 0.1]], [[0.0, 0.0], [0.35, 0.1]], [[0.2, 0.0]])
    state = wild(env, copies, dtype=dtype)
    for field, rows_of in zip(state[:3], golden[:3], strict=True):
        field[rows] = rows_of.to(dtype)
    actions = torch.randint(5, (2, copies, 2), generator=generator())
    actions[:, rows] = torch.tensor([[2, 1], [2, 0]])[:, None]

    def check(value: Tensor, expected: list[Any]) -> None:
        copied = torch.tensor(expected, dtype=dtype).expand(len(rows), *torch.tensor(expected).shape)
        torch.testing.assert_close(value[rows], copied, atol=tolerance, rtol=0)

    state, timestep = env.step(state, actions[0], generator())
    check(timestep.rewards, [0.505, 0.505547002])
    check(state.position, [[0.05, 0], [0.285, 0.1075]])
    check(state.velocity, [[0.5, 0], [-0.65, 0.075]])
    check(env.observe(state).obs[:, 0], [0.5, 0, 0.05, 0, 0.15, 0, 0.15, 2])
    check(env.observe(state).state, [0.5, 0, 0.05, 0, -0.65, 0.075, 0.285, 0.1075, 0.2, 0])
    state, timestep = env.step(state, actions[1], generator())
    check(timestep.rewards, [0.50666667, 0.50729689])
    check(state.position, [[0.09968902, -0.01729651], [0.27406098, 0.13042151]])


def step_particle_by_particle(
    env: Navigation, particles: list[list[float]], centres: Any, actions: list[int]
) -> list[list[float]]:
    """(vx, vy, x, y) of every particle after a step, written from the equations with nothing but floats."""
    after = []
    for i, (vx, vy, x, y) in enumerate(particles):
        fx, fy = [(0.0, 0.0), (-5.0, 0.0), (5.0, 0.0), (0.0, -5.0), (0.0, 5.0)][actions[i]]
        for j, (_, _, other_x, other_y) in enumerate(particles):
            if i != j:
                dx, dy = x - other_x, y - other_y
                depth = (0.3 - hypot(dx, dy)) / 0.001
                contact = 100 * 0.001 * (max(depth, 0) + log1p(exp(-abs(depth))))
                fx, fy = fx + contact * dx / hypot(dx, dy), fy + contact * dy / hypot(dx, dy)
        vx, vy = 0.75 * vx + 0.1 * fx, 0.75 * vy + 0.1 * fy
        dx, dy = x + 0.1 * vx - centres[i][0], y + 0.1 * vy - centres[i][1]
        if env.region == "circle":
            shrink = min(1.0, env.region_radius / hypot(dx, dy))
            dx, dy = dx * shrink, dy * shrink
        else:
            dx, dy = (max(-env.region_radius, min(env.region_radius, d)) for d in (dx, dy))
        after.append([vx, vy, centres[i][0] + dx, centres[i][1] + dy])
    return after


def rewards_particle_by_particle(particles: list[list[float]], landmarks: list[list[float]]) -> list[float]:
    """Shares of covered landmarks, 0.01 for nearness, and half of 0.5 for each other particle that is touched."""
    places = [(x, y) for _, _, x, y in particles]
    rewards = [0.0] * len(places)
    for lx, ly in landmarks:
        distance = [hypot(x - lx, y - ly) for x, y in places]
        occupants = [i for i, d in enumerate(distance) if d < 0.25]
        for i, d in enumerate(distance):
            rewards[i] += (i in occupants) / max(1, len(occupants)) + 0.01 * 0.1 / max(0.1, d)
    for i, (x, y) in enumerate(places):
        rewards[i] -= 0.25 * sum(hypot(x - a, y - b) < 0.3 for j, (a, b) in enumerate(places) if j != i)
    return rewards


def observe_by_one(
    agent: int, particles: list[list[float]], landmarks: list[list[float]], centre: Any, norm: Any
) -> list[float]:
    """What one agent sees with 4 of the landmarks, those within 0.5 m of its region's centre first."""
    vx, vy, x, y = particles[agent]
    inside = [(a, b) for a, b in landmarks if norm(a - centre[0], b - centre[1]) <= 0.5]
    others = [(a, b) for a, b in landmarks if (a, b) not in inside]
    others.sort(key=lambda point: hypot(point[0] - x, point[1] - y))
    seen = [(a - x, b - y) for a, b in (inside + others)[:4]]
    on = [(a, b) for a, b in landmarks if hypot(a - x, b - y) < 0.25]
    rest = particles[:agent] + particles[agent + 1 :]
    company = sum(hypot(a - other_x, b - other_y) < 0.25 for a, b in on for _, _, other_x, other_y in rest)
    relative = [part for point in seen for part in point]
    return [vx, vy, x, y, *relative, *(hypot(*point) for point in seen), bool(on) + company]


@pytest.mark.parametrize("region", ["square", "circle"])
def test_as_a_simulation_particle_by_particle(region: str) -> None:
    env = world(**CROWD, region=region, region_radius=0.5, collision_penalty=0.5, n_landmarks=9, observed_landmarks=4)
    norm = {"square": lambda dx, dy: max(abs(dx), abs(dy)), "circle": hypot}[region]
    centres = [(0.4 * x, 0.3 * y + 0.1 * (x == 1)) for x in range(3) for y in range(2)]
    state = wild(env, 24)
    particles = torch.cat((state.velocity, state.position), dim=2).tolist()
    landmarks = state.landmarks.tolist()
    crowded = False
    for seed in range(6):
        actions = torch.randint(5, (24, 6), generator=generator(seed))
        expected = [rewards_particle_by_particle(*copy) for copy in zip(particles, landmarks, strict=True)]
        seen = [
            [observe_by_one(i, copy, places, centre, norm) for i, centre in enumerate(centres)]
            for copy, places in zip(particles, landmarks, strict=True)
        ]
        torch.testing.assert_close(env.observe(state).obs, torch.tensor(seen, dtype=torch.float64))
        particles = [
            step_particle_by_particle(env, copy, centres, joint_action)
            for copy, joint_action in zip(particles, actions.tolist(), strict=True)
        ]
        state, timestep = env.step(state, actions, generator())
        torch.testing.assert_close(timestep.rewards, torch.tensor(expected, dtype=torch.float64))
        after = torch.cat((state.velocity, state.position), dim=2)
        torch.testing.assert_close(after, torch.tensor(particles, dtype=torch.float64))
        crowded |= bool((env.observe(state).obs[..., -1] > 2).any())
    assert crowded


def test_the_line_of_figure_5() -> None:
    env: Env[NavigationState] = world()
    near, far = neighbourhoods(env.spec.graph, 1), neighbourhoods(env.spec.graph, 2)
    assert near.sum(1).tolist() == [3, 4, *[5] * 11, 4, 3]
    assert far[7].nonzero().flatten().tolist() == list(range(3, 12))
    seen = env.observe(env.reset(4, generator()))
    assert seen.obs.shape == (4, 15, env.spec.obs_dim) == (4, 15, 20)
    assert seen.state.shape == (4, env.spec.state_dim) == (4, 90)
    assert seen.avail_actions.shape == (4, 15, env.spec.n_actions) == (4, 15, 5)
    assert seen.avail_actions.all()
    assert (env.spec.horizon, env.spec.local_rewards) == (50, True)


def test_the_pair_of_figure_6() -> None:
    env = world(**options("navigation_pair"))
    assert options("navigation_pair") == PAIR
    assert torch.equal(env.spec.graph, graphs.complete(2))
    assert (env.spec.obs_dim, env.spec.state_dim) == (8, 10)


def test_the_circles_of_figure_4() -> None:
    """The published graph couples neighbours along columns and rows, none on the diagonal."""
    env = world(**options("navigation_grid"))
    edges = {(i, i + 1) for i in range(16) if i % 4 != 3} | {(i, i + 4) for i in range(12)}
    assert {(i, j) for i, j in env.spec.graph.nonzero().tolist() if i < j} == edges
    assert torch.equal(env.spec.graph, env.spec.graph.T)


@pytest.mark.parametrize("region", REGIONS)
def test_regions_that_only_touch_are_not_coupled(region: str) -> None:
    """In binary some of the multiples of 0.6 are less than 0.6 apart."""
    assert not world(region=region, column_distance=0.6, region_radius=0.3).spec.graph.any()


def test_the_grid_goes_column_by_column() -> None:
    points = grid(3, 2, column_distance=2.0, row_distance=5.0, odd_column_shift=0.5)
    assert points == ((0, 0), (0, 5), (2, 0.5), (2, 5.5), (4, 0), (4, 5))


def test_the_rewards_of_an_agent() -> None:
    place, landmarks = [[0.0, 0.0], [0.29, 0.0]], [[0.0, 0.2], [1.0, 0.0]]
    state, far = resting(place, landmarks), resting([[0.0, 0.0], [0.31, 0.0]], landmarks)
    near = 0.1 / 0.2 + 0.1 / 1.0

    def paid(now: NavigationState, **changes: Any) -> float:
        return float(world(**PAIR, n_landmarks=2, **changes).rewards(now)[0, 0])

    assert paid(state) == pytest.approx(1 + 0.01 * near)
    assert paid(state, nearness_reward=2.0) == pytest.approx(1 + 2 * near)
    assert paid(state, collision_penalty=3.0) == pytest.approx(1 + 0.01 * near - 1.5)
    assert paid(far, collision_penalty=3.0) == pytest.approx(1 + 0.01 * near)
    assert paid(state, sharing="closest") == pytest.approx(0.1 / 0.2 + 0.01 * near)
    assert paid(state, agent_radius=0.05) == pytest.approx(0.01 * near)


def test_the_edge_stops_an_agent_but_not_its_velocity() -> None:
    env = world(columns=1)
    for action, direction in {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}.items():
        start = torch.tensor(direction) * torch.tensor(0.98)
        state, _ = advance(env, resting([start.tolist()], [[0.0, 0.0]]), [action])
        assert state.position.tolist() == [[list(direction)]]
        assert state.velocity.tolist() == [[[0.5 * part for part in direction]]]


def test_a_circle_stops_an_agent_radially() -> None:
    env, angle = world(columns=1, region="circle"), 0.5
    velocity = [4 * cos(angle), 4 * sin(angle)]
    state, _ = advance(env, state_of([velocity], [[0.9 * cos(angle), 0.9 * sin(angle)]], [[0.0, 0.0]]), [0])
    assert state.position.tolist() == [[pytest.approx([cos(angle), sin(angle)])]]
    assert state.velocity.tolist() == [[pytest.approx([0.75 * part for part in velocity])]]
    centre, _ = advance(env, resting([[0.0, 0.0]], [[0.0, 0.0]]), [0])
    assert centre.position.tolist() == [[[0, 0]]]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_time_limit(terminal: bool) -> None:
    env = world(**PAIR, time_limit=7, time_limit_is_terminal=terminal)
    state, early = advance(env, resting([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0]], elapsed=5), [0, 1])
    assert not (early.terminated | early.truncated).any()
    state, last = advance(env, state, [0, 1])
    assert (state.elapsed.tolist(), env.spec.horizon) == ([7], 7)
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([terminal], [not terminal])


def test_the_start() -> None:
    env = world(columns=3, column_distance=4.0, agent_spawn_radius=0.5, landmark_spawn_radius=0.8)
    state = env.reset(2000, generator())
    assert state.position.dtype == torch.float32
    assert not state.velocity.any()
    assert not state.elapsed.any()
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    for place, radius in ((state.position, 0.5), (state.landmarks, 0.8)):
        offset = (place - centres).flatten(0, 1)
        assert 0.99 * radius < offset.abs().min(1).values.max() <= offset.abs().max() < radius + 1e-6
        assert offset.mean(0).abs().max() < 4 * radius / sqrt(3 * 6000)
    together = torch.corrcoef(torch.cat((state.position, state.landmarks), dim=1).flatten(1).T).fill_diagonal_(0)
    assert together.abs().max() < 0.1


def test_agents_start_in_their_regions() -> None:
    env = world(columns=1, region="circle", landmark_spawn_radius=2.0)
    state = env.reset(1000, generator())
    assert 1 - 1e-6 < distances(state.position, torch.zeros(1, 2)).max() < 1 + 1e-6
    assert state.landmarks.abs().max() > 1.9


@pytest.mark.parametrize(("n_landmarks", "columns"), [(None, [0, 1, 2]), (2, [0, 1]), (5, [0, 1, 2, 0, 1])])
def test_landmarks_take_turns(n_landmarks: int | None, columns: list[int]) -> None:
    env = world(columns=3, column_distance=1.0, n_landmarks=n_landmarks, landmark_spawn_radius=0.0)
    assert env.reset(1, generator()).landmarks[0, :, 0].tolist() == columns
    assert env.spec.state_dim == 12 + 2 * len(columns)
    assert env.spec.obs_dim == 5 + 3 * min(3, len(columns))


def test_landmarks_with_centres_of_their_own() -> None:
    env = world(columns=2, landmark_centres=[[3, 4]], landmark_spawn_radius=0.0)
    assert env.reset(1, generator()).landmarks.tolist() == [[[3, 4]]]


def test_a_step_leaves_the_state_before_it_alone() -> None:
    env = world(**CROWD)
    state = wild(env, 8)
    copy = NavigationState(*(field.clone() for field in state))
    advance(env, state, [0, 1, 2, 3, 4, 0])
    assert all(torch.equal(kept, field) for kept, field in zip(copy, state, strict=True))


def play(policy: Any, copies: int = 200, seed: int = 0) -> Tensor:
    """Returns (B) of one episode of the default world in each copy."""
    env, random = world(), generator(seed)
    state, returns = env.reset(copies, random), torch.zeros(copies)
    for _ in range(50):
        state, timestep = env.step(state, policy(state, random), random)
        returns += timestep.rewards.sum(1)
    assert timestep.terminated.all()
    return returns


def at_random(state: NavigationState, random: torch.Generator) -> Tensor:
    return torch.randint(5, state.position.shape[:2], generator=random)


def go_to(target: Tensor, state: NavigationState) -> Tensor:
    """Push along the axis on which the target is farther from where the agent will be in 0.2 s, unless within 0.2 m."""
    error = target - (state.position + 0.2 * state.velocity)
    axis = error.abs().argmax(2, keepdim=True)
    farther = error.gather(2, axis)
    return torch.where(farther.abs() < 0.2, 0, 1 + 2 * axis + (farther > 0)).squeeze(2)


def nearest_in_the_region(state: NavigationState) -> Tensor:
    centres = torch.stack((0.75 * torch.arange(15), torch.zeros(15)), dim=1)
    inside = distances(centres, state.landmarks, inf) <= 1
    nearest = torch.where(inside, distances(state.position, state.landmarks), inf).argmin(2)
    return state.landmarks.gather(1, nearest[..., None].expand(-1, -1, 2))


@pytest.mark.parametrize(
    ("policy", "mean", "deviation", "theirs"),
    [
        pytest.param(at_random, 88, 27, 40, id="random"),
        pytest.param(lambda state, _: torch.zeros(state.position.shape[:2]).long(), 87, 59, 50, id="no-op"),
        pytest.param(lambda state, _: go_to(state.landmarks, state), 634, 22, 50, id="own landmark"),
        pytest.param(lambda state, _: go_to(nearest_in_the_region(state), state), 496, 60, 50, id="nearest landmark"),
    ],
)
def test_policies_as_in_the_authors_code(policy: Any, mean: float, deviation: float, theirs: int) -> None:
    """Within two standard errors of what as many episodes of the authors' environment paid as `theirs` says."""
    error = deviation * hypot(1 / sqrt(theirs), 1 / sqrt(200))
    assert play(policy).mean().item() == pytest.approx(mean, abs=2 * error)


def test_the_seed_is_the_episode() -> None:
    first, again, other = (play(at_random, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_scene() -> None:
    env = world(**PAIR, n_landmarks=2)
    assert isinstance(env, Scenic)
    one, two = (resting([[0.0, 0.0], [x, 0.5]], [[-0.5, 0.5], [0.1, 0.0]]) for x in (0.5, -0.4))
    state = NavigationState(*(torch.cat(fields) for fields in zip(one, two, strict=True)))
    seen = env.scene(state, 0, torch.tensor([0, 4]))
    regions, landmarks, agents, pushes = seen.shapes[:2], seen.shapes[2:4], seen.shapes[4:6], seen.shapes[6:]
    assert [(r.corner, r.width, r.height) for r in regions if isinstance(r, Box)] == [((-1, -1), 2, 2)] * 2
    assert [(d.centre, d.colour) for d in landmarks if isinstance(d, Disc)] == [
        ((-0.5, 0.5), "tab:red"),
        ((0.1, 0.0), "tab:green"),
    ]
    assert [(d.centre, d.radius) for d in agents if isinstance(d, Disc)] == [((0.0, 0.0), 0.15), ((0.5, 0.5), 0.15)]
    assert [agent.edge for agent in agents] == [region.edge for region in regions]
    assert agents[0].edge != agents[1].edge
    assert [p.points for p in pushes if isinstance(p, Line)][1] == ((0.5, 0.5), (0.5, 0.65))
    assert [shape.colour for shape in env.scene(state, 1).shapes[2:4]] == ["tab:green", "tab:green"]
    assert len(env.scene(state, 1).shapes) == 6
    assert (seen.x_range, seen.y_range) == ((-1.15, 1.15), (-1.15, 1.15))
    circles = world(**PAIR, region="circle").scene(state, 0)
    assert [(d.centre, d.radius) for d in circles.shapes[:2] if isinstance(d, Disc)] == [((0.0, 0.0), 1.0)] * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("columns", 0),
        ("rows", 0),
        ("time_limit", 0),
        ("n_landmarks", 0),
        ("observed_landmarks", 0),
        ("observed_landmarks", 16),
        ("column_distance", -1.0),
        ("row_distance", float("nan")),
        ("odd_column_shift", inf),
        ("region_radius", 0.0),
        ("region_radius", inf),
        ("agent_spawn_radius", -0.1),
        ("landmark_spawn_radius", -0.1),
        ("force", 0.0),
        ("damping", 1.1),
        ("damping", float("nan")),
        ("agent_radius", 0.0),
        ("landmark_radius", 0.0),
        ("nearness_reward", -1.0),
        ("collision_penalty", -1.0),
    ],
)
def test_a_bad_number_is_named(name: str, value: float) -> None:
    with pytest.raises(
        UserError, match=rf"(?s){name}={value} is not possible.*valid: a .*number.*env\.{name}="
    ) as error:
        world(**{name: value})
    advised = str(error.value).rpartition("=")[2]
    world(**{name: type(value)(advised)})


@pytest.mark.parametrize("name", ["agent_centres", "landmark_centres"])
@pytest.mark.parametrize("value", [[], [[0.0]], [[0.0, inf]], [0.0, 1.0], [["x", "y"]], [[0.0, 0.0, 0.0]]])
def test_bad_points_are_named(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"(?s){name} cannot be \[.*valid: a list of points .*env\.{name}=\[\[0,0\]"):
        world(**{name: value})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("name", "valid"), [("region", "circle, square"), ("sharing", "closest, occupants")])
def test_an_unknown_option_is_answered_with_the_known(name: str, valid: str) -> None:
    with pytest.raises(UserError, match=rf"(?s){name} 'none'.*valid: {valid}"):
        world(**{name: "none"})
