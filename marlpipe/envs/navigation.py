"""Bounded-Cooperative-Navigation: particles, each in a region of its own, cover landmarks together (LOMAQ §5.1).

The paper gives no constants; these are from the authors' code, which also rewards being near landmarks a little.
"""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.envs.navigation_coverage import SHARINGS, Sharing, nearness, occupancy, seen_landmarks
from marlpipe.envs.navigation_particles import (
    REGIONS,
    RegionName,
    accelerate,
    contact_forces,
    contacts,
    distances,
    move,
    overlapping,
)
from marlpipe.envs.scene import Disc, Line, Point, Scene, Shape
from marlpipe.errors import Bound, bounds_of, check_number, check_numbers, refused, unknown
from marlpipe.types import EnvSpec, Observation, Timestep

DIRECTIONS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))  # in which each action pushes
MOST = 1000  # agents, and landmarks
POSITIVE, NOT_NEGATIVE = Bound(0, 10**6, integer=False, exclusive_low=True), Bound(0, 10**6, integer=False)
COORDINATE = Bound(-(10**6), 10**6, integer=False)  # m
GOLDEN_RATIO = 0.618  # hues that far apart, on a circle of 1, are all distinct


class NavigationState(NamedTuple):
    """Everything that the next step depends on. L landmarks."""

    velocity: Float[Tensor, "B N 2"]  # m/s
    position: Float[Tensor, "B N 2"]  # m
    landmarks: Float[Tensor, "B L 2"]  # m
    elapsed: Int[Tensor, " B"]  # env steps since the reset


def grid(
    columns: int, rows: int, *, column_distance: float, row_distance: float, odd_column_shift: float
) -> tuple[Point, ...]:
    """Points column by column, from x = 0 and y = 0; columns 1, 3, … are shifted along y. Lengths in m."""
    return tuple(
        (x * column_distance, y * row_distance + x % 2 * odd_column_shift) for x in range(columns) for y in range(rows)
    )


def _points(name: str, given: Sequence[Any]) -> tuple[Point, ...]:
    try:
        points = tuple((float(x), float(y)) for x, y in given)
    except (TypeError, ValueError, OverflowError):
        points = ()
    if not 0 < len(points) <= MOST or not all(COORDINATE.holds(number) for point in points for number in point):
        valid = f"a list of points [x, y], in m, at most {MOST} of them, each coordinate {COORDINATE}"
        raise refused(name, given, valid, "[[0,0],[1,0]]")
    return points


@cache
def constant(points: tuple[Point, ...], dtype: torch.dtype, device: torch.device) -> Float[Tensor, "P 2"]:
    """Points that never change, as a tensor."""
    return torch.tensor(points, dtype=dtype, device=device)


@dataclass(kw_only=True, eq=False)
class Navigation:
    """n agents, each pushed along −x (action 1), +x (2), −y (3), +y (4) or not at all (0). Landmarks give rewards.

    Rewards are those of the state before the step, as in the authors' code. An agent observes its velocity and
    position, the relative positions of `observed_landmarks` landmarks, their distances, and the number of agents on its
    landmarks (see `seen_landmarks` and `occupancy` in navigation_coverage.py), and nothing else of other agents. The
    world's state is velocity and position of every agent, then the landmarks' positions.

    agent_centres: centres of the agents' regions; None: those of the `grid`.
    landmark_centres: centres around which landmarks are placed; None: those of the agents.
    n_landmarks: assigned to the centres in turn; None: one per centre.
    observed_landmarks: None: one more than the largest number of neighbours of an agent.
    """

    columns: Annotated[int, Bound(1, MOST)]
    rows: Annotated[int, Bound(1, MOST)]
    column_distance: Annotated[float, NOT_NEGATIVE]  # m
    row_distance: Annotated[float, NOT_NEGATIVE]  # m
    odd_column_shift: Annotated[float, COORDINATE]  # m, along y
    agent_centres: Sequence[Any] | None  # points, m
    landmark_centres: Sequence[Any] | None  # points, m
    n_landmarks: Annotated[int, Bound(1, MOST)] | None
    time_limit: Annotated[int, Bound(1, 10**6)]  # env steps
    region: RegionName
    region_radius: Annotated[float, POSITIVE]  # m
    agent_spawn_radius: Annotated[float, NOT_NEGATIVE]  # m, along each axis
    landmark_spawn_radius: Annotated[float, NOT_NEGATIVE]  # m, along each axis
    observed_landmarks: Annotated[int, Bound(1, MOST)] | None
    force: Annotated[float, POSITIVE]  # N
    damping: Annotated[float, Bound(0, 1, integer=False)]  # the share of its velocity that a particle loses in a step
    agent_radius: Annotated[float, POSITIVE]  # m
    landmark_radius: Annotated[float, POSITIVE]  # m
    sharing: Sharing
    nearness_reward: Annotated[float, NOT_NEGATIVE]
    collision_penalty: Annotated[float, NOT_NEGATIVE]
    time_limit_is_terminal: bool
    spec: EnvSpec = field(init=False)

    def __post_init__(self) -> None:
        check_numbers("env", vars(self), bounds_of(Navigation.__init__))
        for name, valid in {"region": REGIONS.keys(), "sharing": SHARINGS.keys()}.items():
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)
        if self.agent_centres is None:
            check_number("env.columns · env.rows", self.columns * self.rows, Bound(1, MOST))
            self._centres = grid(
                self.columns,
                self.rows,
                column_distance=self.column_distance,
                row_distance=self.row_distance,
                odd_column_shift=self.odd_column_shift,
            )
        else:
            self._centres = _points("agent_centres", self.agent_centres)
        around = self._centres
        if self.landmark_centres is not None:
            around = _points("landmark_centres", self.landmark_centres)
        self._landmark_centres = tuple(islice(cycle(around), self.n_landmarks or len(around)))
        n_agents, n_landmarks = len(self._centres), len(self._landmark_centres)
        self._region, self._reach = REGIONS[self.region], self.agent_radius + self.landmark_radius
        centres = constant(self._centres, torch.float64, torch.device("cpu"))
        graph = overlapping(centres, self._region, self.region_radius)
        self._n_seen = self.observed_landmarks or min(n_landmarks, int(graph.sum(1).max()) + 1)
        check_number("env.observed_landmarks", self._n_seen, Bound(1, n_landmarks, or_null=True))
        self.spec = EnvSpec(
            n_agents=n_agents,
            n_actions=len(DIRECTIONS),
            obs_dim=5 + 3 * self._n_seen,
            state_dim=4 * n_agents + 2 * n_landmarks,
            horizon=self.time_limit,
            graph=graph,
            local_rewards=True,
        )

    def _confined(self, position: Float[Tensor, "B N 2"]) -> Float[Tensor, "B N 2"]:
        centres = constant(self._centres, position.dtype, position.device)
        return centres + self._region.confine(position - centres, self.region_radius)

    def reset(self, n: int, generator: torch.Generator) -> NavigationState:
        """n copies at rest, everything within its spawn radius of its centre along each axis, uniformly.

        An agent that would appear outside its region starts on the rim.
        """
        device, n_agents = generator.device, self.spec.n_agents
        centres = constant(self._centres + self._landmark_centres, torch.get_default_dtype(), device)
        noise = 2 * torch.rand((n, *centres.shape), generator=generator, device=device) - 1
        agents = torch.add(centres[:n_agents], noise[:, :n_agents], alpha=self.agent_spawn_radius)
        landmarks = torch.add(centres[n_agents:], noise[:, n_agents:], alpha=self.landmark_spawn_radius)
        elapsed = torch.zeros(n, dtype=torch.long, device=device)
        return NavigationState(torch.zeros_like(agents), self._confined(agents), landmarks, elapsed)

    def observe(self, state: NavigationState) -> Observation:
        velocity, position, landmarks, _ = state
        distance = distances(position, landmarks)
        centres = constant(self._centres, position.dtype, position.device)
        from_centre = distances(centres, landmarks, self._region.norm)
        seen = seen_landmarks(distance, from_centre, self.region_radius, self._n_seen)  # B N K
        where = landmarks.gather(1, seen.flatten(1)[..., None].expand(-1, -1, 2)).view(*seen.shape, 2)
        relative = (where - position[:, :, None]).flatten(2)
        occupants = occupancy(distance, self._reach)[..., None]
        moving = torch.cat((velocity, position), dim=2)
        return Observation(
            obs=torch.cat((moving, relative, distance.gather(2, seen), occupants), dim=2),
            state=torch.cat((moving.flatten(1), landmarks.flatten(1)), dim=1),
            avail_actions=torch.ones((*position.shape[:2], len(DIRECTIONS)), dtype=torch.bool, device=position.device),
        )

    def rewards(self, state: NavigationState) -> Float[Tensor, "B N"]:
        """The reward of each agent in a state."""
        distance = distances(state.position, state.landmarks)
        rewards = SHARINGS[self.sharing](distance, self._reach, self.landmark_radius)
        rewards = torch.add(rewards, nearness(distance, self.landmark_radius), alpha=self.nearness_reward)
        if self.collision_penalty:  # half of it to each of the two
            rewards = rewards - self.collision_penalty / 2 * contacts(state.position, 2 * self.agent_radius)
        return rewards

    def step(
        self,
        state: NavigationState,
        actions: Int[Tensor, "B N"],
        generator: torch.Generator,  # noqa: ARG002 nothing is random between resets
    ) -> tuple[NavigationState, Timestep]:
        velocity, position, landmarks, elapsed = state
        directions = constant(DIRECTIONS, position.dtype, position.device)[actions]
        force = torch.add(contact_forces(position, 2 * self.agent_radius), directions, alpha=self.force)
        velocity = accelerate(velocity, force, self.damping)
        after = NavigationState(velocity, self._confined(move(position, velocity)), landmarks, elapsed + 1)
        late = after.elapsed >= self.time_limit
        never = torch.zeros_like(late)
        terminated, truncated = (late, never) if self.time_limit_is_terminal else (never, late)
        return after, Timestep(self.rewards(state), terminated, truncated)

    def scene(self, state: NavigationState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """Regions and agents in the agents' colours, landmarks red, or green where covered; a line is a push."""
        position, landmarks = state.position[copy], state.landmarks[copy]
        covered = (distances(position, landmarks) < self._reach).any(0).tolist()
        colours = [_colour(agent) for agent in range(self.spec.n_agents)]
        shapes: list[Shape] = [
            self._region.outline(centre, self.region_radius, colour)
            for centre, colour in zip(self._centres, colours, strict=True)
        ]
        for (x, y), green in zip(landmarks.tolist(), covered, strict=True):
            shapes.append(Disc((x, y), self.landmark_radius, "tab:green" if green else "tab:red"))
        for (x, y), colour in zip(position.tolist(), colours, strict=True):
            shapes.append(Disc((x, y), self.agent_radius, f"{colour}b0", edge=colour))
        if actions is not None:
            for (x, y), action in zip(position.tolist(), actions.tolist(), strict=True):
                dx, dy = DIRECTIONS[action]
                shapes.append(Line(((x, y), (x + self.agent_radius * dx, y + self.agent_radius * dy)), "black"))
        margin = max(self.region_radius, self.landmark_spawn_radius) + self.agent_radius
        xs, ys = zip(*self._centres, *self._landmark_centres, strict=True)
        return Scene((min(xs) - margin, max(xs) + margin), (min(ys) - margin, max(ys) + margin), shapes)


def _colour(agent: int) -> str:
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(agent * GOLDEN_RATIO % 1, 0.8, 0.8))
    return f"#{red:02x}{green:02x}{blue:02x}"
