"""Coupled-Multi-Cart-Pole: carts on one track, each balancing a pole, neighbours joined by springs (LOMAQ §5.1).

The paper gives no constants; these are from the authors' code, which pushes with 10 N where §5.1 says ±1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import cos, radians, sin
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.scene import Box, Label, Line, Scene, Shape
from marlpipe.errors import Bound, bounds_of, check_numbers, unknown
from marlpipe.types import EnvSpec, Observation, Timestep

GRAVITY = 9.8  # m/s²
POLE_MASS = 0.1  # kg
TOTAL_MASS = 1.0 + POLE_MASS  # kg, cart and pole
HALF_LENGTH = 0.5  # m, from the joint to the middle of the pole
LEVER = POLE_MASS * HALF_LENGTH / TOTAL_MASS  # m
TIME_STEP = 0.02  # s
FALLEN_ANGLE = radians(12)

CART = 0.4, 0.24  # width and height as drawn, in m
UPRIGHT, FALLEN, SPRING, GROUND = "#2f5d8a", "#d03030", "#8a8a8a", "#404040"

# Whether the episode terminates, given the carts that had fallen before the step. As in the authors' code this is
# evaluated before the carts move: one more step, with reward 0, follows the last fall.
Termination = Literal["all", "any", "endless"]
TERMINATIONS: dict[Termination, Callable[[Tensor], Tensor]] = {
    "all": lambda fallen: fallen.all(1),
    "any": lambda fallen: fallen.any(1),
    "endless": lambda fallen: torch.zeros_like(fallen[:, 0]),
}


class CartPoleState(NamedTuple):
    """Everything that the next step depends on."""

    x: Float[Tensor, "B N"]  # m along the track, on which cart i is at home in i·cart_distance
    velocity: Float[Tensor, "B N"]  # m/s
    angle: Float[Tensor, "B N"]  # rad from upright
    angular_velocity: Float[Tensor, "B N"]  # rad/s
    elapsed: Int[Tensor, " B"]  # env steps since the reset


def has_fallen(x: Float[Tensor, "B N"], angle: Float[Tensor, "B N"], distance: float) -> Bool[Tensor, "B N"]:
    """Whether a cart has left the track [−distance, N·distance], or its pole leans by more than 12°."""
    return (x.clamp(-distance, x.shape[1] * distance) != x) | (angle.clamp(-FALLEN_ANGLE, FALLEN_ANGLE) != angle)


def stretch(
    x: Float[Tensor, "B N"], moved: Float[Tensor, "B N"], *, distance: float, edge_springs: bool
) -> Float[Tensor, "B N"]:
    """[(x_{i−1} − x_i) + c] + [(x_{i+1} − x_i) − c] in m, with springs of length c = `distance` at rest.

    The authors' code moves the carts in index order and in place, so a cart feels its left neighbour where that has
    already gone: `moved` holds the next positions. Edge springs tie the outermost carts to walls at −c and N·c.
    """
    n, carts = x.shape
    if edge_springs:
        left_end, right_end = x.new_full((n, 1), -distance), x.new_full((n, 1), carts * distance)
    else:  # a spring at its rest length exerts no force
        left_end, right_end = x[:, :1] - distance, x[:, -1:] + distance
    ends = torch.cat((left_end, moved, x, right_end), dim=1)
    return torch.sub(ends[:, :carts] + ends[:, carts + 2 :], x, alpha=2)


def accelerations(
    push: Float[Tensor, "B N"], angle: Float[Tensor, "B N"], angular_velocity: Float[Tensor, "B N"], inertia: Tensor
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
    """ẍ in m/s² and θ̈ in rad/s² of a frictionless cart-pole under a horizontal force (Barto et al. 1983).

    With mass m of the pole, M of pole and cart, half length l, the force F as `push` = F / M in m/s² and −4l/3 as
    `inertia`, and with u = F / M + m·l·θ̇²·sin θ / M:
    θ̈ = (u·cos θ − g·sin θ) / (m·l·cos²θ / M − 4l/3),    ẍ = u − m·l·θ̈·cos θ / M.
    """
    sine, cosine = angle.sin(), angle.cos()
    thrust = torch.addcmul(push, angular_velocity, angular_velocity * sine, value=LEVER)
    swing = torch.addcmul(inertia, cosine, cosine, value=LEVER)
    angular_acceleration = torch.sub(thrust * cosine, sine, alpha=GRAVITY) / swing
    return torch.addcmul(thrust, angular_acceleration, cosine, value=-LEVER), angular_acceleration


def spring(start: float, end: float) -> Line:
    """A zigzag between two places on the track, at half the height of a cart."""
    coil = [(0.3 + 0.4 * turn / 9, 0.06 * (-1) ** turn) for turn in range(10)]
    points = [(0.0, 0.0), (0.27, 0.0), *coil, (0.73, 0.0), (1.0, 0.0)]
    return Line([(start + share * (end - start), CART[1] / 2 + swing) for share, swing in points], SPRING, 1)


def pole(x: float, angle: float, colour: str) -> Line:
    """A pole of its true length and lean on a cart."""
    tip = x + 2 * HALF_LENGTH * sin(angle), CART[1] + 2 * HALF_LENGTH * cos(angle)
    return Line(((x, CART[1]), tip), colour, 4)


def push(x: float, way: int) -> Line:
    """An arrow on a cart, to the left (−1) or to the right (1)."""
    tail, tip, barb, middle = x - 0.12 * way, x + 0.12 * way, x + 0.04 * way, CART[1] / 2
    head = ((tip, middle), (barb, middle + 0.06), (tip, middle), (barb, middle - 0.06))
    return Line(((tail, middle), *head), "white", 1.5)


class Constants(NamedTuple):
    """Constant tensors, made once per device."""

    homes: Float[Tensor, " N"]  # where each cart's springs are at rest, in m
    pushes: Float[Tensor, "2"]  # by each action, in m/s²
    inertia: Float[Tensor, ""]  # as in `accelerations`, in m
    avail_actions: Bool[Tensor, "1 N 2"]


@cache
def constants(n_agents: int, distance: float, force: float, dtype: torch.dtype, device: torch.device) -> Constants:
    """For carts `distance` m apart at home, each pushed by `force` N."""
    return Constants(
        homes=distance * torch.arange(n_agents, dtype=dtype, device=device),
        pushes=torch.tensor([-force, force], dtype=dtype, device=device) / TOTAL_MASS,
        inertia=torch.tensor(-4 / 3 * HALF_LENGTH, dtype=dtype, device=device),
        avail_actions=torch.ones((1, n_agents, 2), dtype=torch.bool, device=device),
    )


@dataclass(kw_only=True, eq=False)
class CartPole:
    """n carts, each pushed left (action 0) or right (1), with a reward of 1 for each that stood before the step.

    Fallen carts never move again, and their neighbours' springs stay tied to them. An agent observes
    (x − home, ẋ, θ, θ̇) of itself and of `observation_radius` neighbours to each side, from left to right, zeros for
    missing neighbours. The world's state is these four of every cart, x relative to home there as well.
    """

    n_agents: Annotated[int, Bound(1, 1000)]
    time_limit: Annotated[int, Bound(1, 10**6)]  # env steps
    spring: Annotated[float, Bound(0, 10**6, integer=False)]  # stiffness, N/m
    cart_distance: Annotated[float, Bound(0, 10**6, integer=False, exclusive_low=True)]  # m
    force: Annotated[float, Bound(0, 10**6, integer=False, exclusive_low=True)]  # N
    observation_radius: Annotated[int, Bound(0, 1000)]  # neighbours to each side
    termination: Termination
    edge_springs: bool
    time_limit_is_terminal: bool
    spec: EnvSpec = field(init=False)

    def __post_init__(self) -> None:
        check_numbers("env", vars(self), bounds_of(CartPole.__init__))
        if self.termination not in TERMINATIONS:
            raise unknown("termination", self.termination, TERMINATIONS)
        obs_dim, own = 4 * (2 * self.observation_radius + 1), 4 * self.observation_radius + torch.arange(4)
        self.spec = EnvSpec(
            n_agents=self.n_agents,
            n_actions=2,
            obs_dim=obs_dim,
            state_dim=4 * self.n_agents,
            horizon=self.time_limit,
            graph=graphs.line(self.n_agents),
            local_rewards=True,
            state_in_obs=(obs_dim * torch.arange(self.n_agents)[:, None] + own).flatten(),
        )

    def _constants(self, like: Tensor) -> Constants:
        return constants(self.n_agents, self.cart_distance, self.force, like.dtype, like.device)

    def reset(self, n: int, generator: torch.Generator) -> CartPoleState:
        """n copies near home: |x − home| < 0.1, and velocity, angle and angular velocity within ±0.05, all uniform."""
        device = generator.device
        noise = 0.1 * torch.rand((4, n, self.n_agents), generator=generator, device=device) - 0.05
        elapsed = torch.zeros(n, dtype=torch.long, device=device)
        return CartPoleState(self._constants(noise).homes + 2 * noise[0], noise[1], noise[2], noise[3], elapsed)

    def observe(self, state: CartPoleState) -> Observation:
        x, velocity, angle, angular_velocity, _ = state
        known, radius = self._constants(x), self.observation_radius
        obs = carts = torch.stack((x - known.homes, velocity, angle, angular_velocity), dim=2)  # B N 4
        if radius:
            windows = F.pad(carts, (0, 0, radius, radius)).unfold(1, 2 * radius + 1, 1)  # B N 4 W
            obs = windows.transpose(2, 3).flatten(2)
        return Observation(obs, carts.flatten(1), known.avail_actions.expand(len(x), -1, -1))

    def step(
        self,
        state: CartPoleState,
        actions: Int[Tensor, "B N"],
        generator: torch.Generator,  # noqa: ARG002 nothing is random between resets
    ) -> tuple[CartPoleState, Timestep]:
        x, velocity, angle, angular_velocity, elapsed = state
        known, fallen = self._constants(x), has_fallen(x, angle, self.cart_distance)
        standing = (~fallen).to(x.dtype)

        def advance(value: Tensor, rate: Tensor) -> Tensor:
            """One explicit Euler step of the carts that stand; fallen carts keep their values."""
            return torch.addcmul(value, standing, rate, value=TIME_STEP)

        moved = advance(x, velocity)
        pull = stretch(x, moved, distance=self.cart_distance, edge_springs=self.edge_springs)
        push = torch.add(known.pushes[actions], pull, alpha=self.spring / TOTAL_MASS)
        acceleration, angular_acceleration = accelerations(push, angle, angular_velocity, known.inertia)
        after = CartPoleState(
            x=moved,
            velocity=advance(velocity, acceleration),
            angle=advance(angle, angular_velocity),
            angular_velocity=advance(angular_velocity, angular_acceleration),
            elapsed=elapsed + 1,
        )
        over, late = TERMINATIONS[self.termination](fallen), after.elapsed >= self.time_limit
        terminated = over | late if self.time_limit_is_terminal else over
        return after, Timestep(rewards=standing, terminated=terminated, truncated=late & ~terminated)

    def scene(self, state: CartPoleState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """As in LOMAQ's Figure 3: springs between the carts, the fallen in red, arrows where the carts are pushed."""
        fallen = has_fallen(state.x, state.angle, self.cart_distance)[copy].tolist()
        x, angle = state.x[copy].tolist(), state.angle[copy].tolist()
        pushes = [None] * len(x) if actions is None else (2 * actions - 1).tolist()
        left, right = -self.cart_distance, len(x) * self.cart_distance
        ends = [left, *x, right] if self.edge_springs else x
        colours = [FALLEN if down else UPRIGHT for down in fallen]
        caption = f"{len(x) - sum(fallen)} of {len(x)} stand, env step {int(state.elapsed[copy])}"
        shapes: list[Shape] = [Line(((left, 0), (right, 0)), GROUND, 2)]
        shapes += [Line(((end, 0), (end, 2 * CART[1])), GROUND, 4) for end in (left, right)]
        shapes += [spring(*pair) for pair in pairwise(ends) if self.spring]
        shapes += [Box((at - CART[0] / 2, 0), *CART, colour) for at, colour in zip(x, colours, strict=True)]
        shapes += [pole(*one) for one in zip(x, angle, colours, strict=True)]
        shapes += [push(at, way) for at, way, down in zip(x, pushes, fallen, strict=True) if way and not down]
        shapes += [Label(((left + right) / 2, 1.5), caption)]
        return Scene((left - 0.3, right + 0.3), (-0.1, 1.7), shapes)
