"""Predator-Prey with punishment: two predators together catch a prey for a reward, one alone is punished (QPro §5.1).

Where the paper gives no details, the world follows the public code of DCG, WQMIX and PyMARL2; so it does in two further
points: a prey is worth 10, as in QPro's appendix, not 1, and a move into an occupied cell is available but fails.
"""

from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.predator_prey_grid import NOWHERE, Grid, beside, walled, window
from marlpipe.envs.predator_prey_hunt import Draws, chase_prey, draw, move_predators
from marlpipe.envs.scene import Box, Disc, Line, Point, Scene, Shape
from marlpipe.errors import Bound, UserError, bounds_of, check_numbers, refused
from marlpipe.types import EnvSpec, Observation, Timestep

STAY, CATCH = 4, 5  # after the four moves, which are in the order of DIRECTIONS
PREDATORS, PREY = 0, 1  # channels of the observation


class PredatorPreyState(NamedTuple):
    """Everything that the next step depends on, and the last cells of removed predators and caught prey. M prey."""

    predators: Int[Tensor, "B N"]  # cells of the walled grid
    prey: Int[Tensor, "B M"]
    hunting: Bool[Tensor, "B N"]  # predators that are not removed
    alive: Bool[Tensor, "B M"]  # prey that is not caught
    elapsed: Int[Tensor, " B"]  # env steps since the reset


@dataclass(kw_only=True, eq=False)
class PredatorPrey:
    """n predators and `n_prey` prey, no two on the same cell of a grid.

    Actions: 0 right, 1 down, 2 left, 3 up, 4 stay, 5 catch. First the predators act one by one in random order, then
    the prey does, see `chase_prey`. A caught prey gives `capture_reward`, one that escapes from at least one catcher
    `punishment`, both as team reward in agent 0's place. No return exceeds capture_reward · min(n_prey,
    n_agents // catch_threshold). The episode ends when no prey or no predator is left, or at the time limit.

    Moves are available if they stay on the grid, catching if a prey is adjacent; removed predators can only stay.
    An agent observes the `view` × `view` cells around it, row by row, and in each whether there is a predator (itself
    in the middle), a prey, and a hare (there are none). Cells beyond the grid and observations of removed predators are
    zero. The world's state is the whole grid in the same encoding.
    """

    n_agents: Annotated[int, Bound(1, 1000)]  # predators
    n_prey: Annotated[int, Bound(1, 1000)]
    rows: Annotated[int, Bound(1, 1000)]
    columns: Annotated[int, Bound(1, 1000)]
    view: Annotated[int, Bound(1, 99)]  # cells on a side of the window, odd
    time_limit: Annotated[int, Bound(1, 10**6)]  # env steps
    capture_reward: Annotated[float, Bound(0, 10**6, integer=False)]
    punishment: Annotated[float, Bound(-(10**6), 0, integer=False)]
    catch_threshold: Annotated[int, Bound(1, 1000)]  # predators that it takes to catch a prey
    hare_channel: bool
    time_limit_is_terminal: bool
    spec: EnvSpec = field(init=False)

    def __post_init__(self) -> None:
        check_numbers("env", vars(self), bounds_of(PredatorPrey.__init__))
        if self.view % 2 == 0:
            raise refused("view", self.view, "an odd number, for the agent is in the middle of what it sees", 5)
        if self.n_agents + self.n_prey > self.rows * self.columns:
            raise UserError(
                f"{self.n_agents} predators and {self.n_prey} prey do not fit on {self.rows} × {self.columns} cells.\n"
                f"  valid: n_agents + n_prey of at most rows · columns = {self.rows * self.columns}\n"
                "  next: set env.rows and env.columns higher, or env.n_agents and env.n_prey lower"
            )
        self._border, self._channels = max(1, self.view // 2), 3 if self.hare_channel else 2
        self.spec = EnvSpec(
            n_agents=self.n_agents,
            n_actions=6,
            obs_dim=self._channels * self.view**2,
            state_dim=self._channels * self.rows * self.columns,
            horizon=self.time_limit,
            graph=graphs.complete(self.n_agents),
            local_rewards=False,
            kept_as=torch.uint8,
        )

    def _grid(self, device: torch.device) -> Grid:
        return walled(self.rows, self.columns, self._border, device)

    def reset(self, n: int, generator: torch.Generator) -> PredatorPreyState:
        """n copies with predators and prey on distinct cells, drawn uniformly."""
        floor = self._grid(generator.device).floor
        cells = floor[torch.rand((n, len(floor)), generator=generator, device=generator.device).argsort(1)]
        predators, prey = cells[:, : self.n_agents], cells[:, self.n_agents : self.n_agents + self.n_prey]
        hunting, alive = (torch.ones_like(group, dtype=torch.bool) for group in (predators, prey))
        return PredatorPreyState(predators, prey, hunting, alive, elapsed=torch.zeros_like(cells[:, 0]))

    def observe(self, state: PredatorPreyState) -> Observation:
        predators, prey, hunting, alive, _ = state
        device, channels = predators.device, self._channels
        grid = self._grid(device)
        seen = torch.zeros((len(predators), len(grid.walls) * channels), device=device)
        places = torch.cat((predators * channels + PREDATORS, prey * channels + PREY), dim=1)
        seen.scatter_add_(1, places, torch.cat((hunting, alive), dim=1).to(seen.dtype))

        reach = predators.unsqueeze(2) * channels + window(grid.width, self.view // 2, channels, device)
        obs = seen.gather(1, reach.flatten(1)).view(reach.shape) * hunting.unsqueeze(2)
        whole_grid = seen.view(len(seen), -1, channels).index_select(1, grid.floor).flatten(1)

        inside = ~grid.walls[predators.unsqueeze(2) + grid.neighbours]
        catch = beside(predators, prey.where(alive, NOWHERE), grid).any(2, keepdim=True)
        hunts = hunting.unsqueeze(2)
        avail_actions = torch.cat((inside & hunts, torch.ones_like(catch), catch & hunts), dim=2)
        return Observation(obs, whole_grid, avail_actions)

    def step(
        self, state: PredatorPreyState, actions: Int[Tensor, "B N"], generator: torch.Generator
    ) -> tuple[PredatorPreyState, Timestep]:
        return self.transition(state, actions, draw(len(actions), self.n_agents, self.n_prey, generator))

    def transition(
        self, state: PredatorPreyState, actions: Int[Tensor, "B N"], draws: Draws
    ) -> tuple[PredatorPreyState, Timestep]:
        """One time step, given its random draws."""
        grid = self._grid(actions.device)
        move = F.pad(grid.neighbours, (0, 2))[actions]  # to stay and to catch is to move by 0
        predators = state.predators.where(state.hunting, NOWHERE)
        targets = (state.predators + move).where(state.hunting, NOWHERE)
        prey = state.prey.where(state.alive, NOWHERE)
        occupied = grid.walls.repeat(len(actions), 1).scatter_(1, torch.cat((predators, prey), dim=1), True)

        predators = move_predators(occupied, predators, targets, draws.predator_order)
        catchers = predators.where(actions == CATCH, NOWHERE)
        chase = chase_prey(occupied, catchers, prey, draws, self.catch_threshold, grid)
        caught = chase.catchers >= self.catch_threshold
        escaped = (chase.catchers > 0) & ~caught
        after = PredatorPreyState(
            predators=predators.where(state.hunting, state.predators),
            prey=chase.prey.where(state.alive, state.prey),
            hunting=state.hunting & ~chase.removed,
            alive=state.alive & ~caught,
            elapsed=state.elapsed + 1,
        )
        reward = self.capture_reward * caught.sum(1) + self.punishment * escaped.sum(1)
        over = ~(after.hunting.any(1) & after.alive.any(1))
        late = after.elapsed >= self.time_limit
        terminated = over | late if self.time_limit_is_terminal else over
        rewards = F.pad(reward.unsqueeze(1), (0, self.n_agents - 1))
        return after, Timestep(rewards=rewards, terminated=terminated, truncated=late & ~terminated)

    def scene(self, state: PredatorPreyState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """Predators are blue, prey orange; catching predators are ringed, removed ones faded, caught prey crosses."""
        right, top = float(self.columns), float(self.rows)
        shapes: list[Shape] = [Box((0.0, 0.0), right, top, "white", "black")]
        shapes += [Line([(float(x), 0.0), (float(x), top)], "lightgrey", 0.5) for x in range(1, self.columns)]
        shapes += [Line([(0.0, float(y)), (right, float(y))], "lightgrey", 0.5) for y in range(1, self.rows)]

        prey = list(zip(self._centres(state.prey[copy]), state.alive[copy].tolist(), strict=True))
        hunters = list(zip(self._centres(state.predators[copy]), state.hunting[copy].tolist(), strict=True))
        shapes += [Disc(centre, 0.35, "#1f77b440") for centre, hunting in hunters if not hunting]
        for (x, y), alive in prey:
            if not alive:
                shapes.append(Line([(x - 0.3, y - 0.3), (x + 0.3, y + 0.3)], "#ff7f0e", 2.0))
                shapes.append(Line([(x - 0.3, y + 0.3), (x + 0.3, y - 0.3)], "#ff7f0e", 2.0))
        shapes += [Disc(centre, 0.35, "#ff7f0e") for centre, alive in prey if alive]
        shapes += [Disc(centre, 0.35, "#1f77b4") for centre, hunting in hunters if hunting]
        if actions is not None:
            catching = (actions == CATCH).tolist()
            pairs = zip(hunters, catching, strict=True)
            shapes += [Disc(centre, 0.45, "none", "#d62728") for (centre, hunting), now in pairs if hunting and now]
        return Scene((-0.1, right + 0.1), (-0.1, top + 0.1), shapes)

    def _centres(self, cells: Int[Tensor, " X"]) -> list[Point]:
        """Where cells are in the plane, a cell being 1 wide."""
        width = self.columns + 2 * self._border
        places = [divmod(cell, width) for cell in cells.tolist()]
        return [(column - self._border + 0.5, self.rows + self._border - row - 0.5) for row, column in places]
