"""Predator-Prey as tests play it: drawn boards, and random episodes."""

from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple

import torch
from torch import Tensor

from marlpipe.envs.predator_prey import PredatorPrey, PredatorPreyState
from marlpipe.envs.predator_prey_hunt import Draws
from marlpipe.types import Timestep

RIGHT, DOWN, LEFT, UP, STAY, CATCH = range(6)
STEPS = {RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1), UP: (-1, 0)}


def world(**changes: Any) -> PredatorPrey:
    defaults: dict[str, Any] = {
        "n_agents": 8,
        "n_prey": 8,
        "rows": 10,
        "columns": 10,
        "view": 5,
        "time_limit": 200,
        "capture_reward": 10.0,
        "punishment": 0.0,
        "catch_threshold": 2,
        "hare_channel": True,
        "time_limit_is_terminal": False,
    }
    return PredatorPrey(**(defaults | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


Place = tuple[int, int]  # row and column on the floor


class Board(NamedTuple):
    """A world that is drawn: A is predator 0, a is prey 0, a point is a free cell."""

    env: PredatorPrey
    state: PredatorPreyState

    @classmethod
    def of(cls, picture: str, *, copies: int = 1, **changes: Any) -> "Board":
        rows = picture.split()
        found = {sign: (r, c) for r, row in enumerate(rows) for c, sign in enumerate(row) if sign != "."}
        groups = [
            [found[sign] for sign in alphabet if sign in found] for alphabet in (ascii_uppercase, ascii_lowercase)
        ]
        sizes = {"n_agents": len(groups[0]), "n_prey": len(groups[1]), "rows": len(rows), "columns": len(rows[0])}
        env = world(**(sizes | {"punishment": -2.0} | changes))
        predators, prey = (torch.tensor([index(env, *place) for place in group]) for group in groups)
        state = PredatorPreyState(
            predators=predators.expand(copies, -1),
            prey=prey.expand(copies, -1),
            hunting=torch.ones((copies, env.n_agents), dtype=torch.bool),
            alive=torch.ones((copies, env.n_prey), dtype=torch.bool),
            elapsed=torch.zeros(copies, dtype=torch.long),
        )
        return cls(env, state)

    def play(
        self, actions: dict[str, int], order: str = "", prey_order: str = "", directions: str = "right down left up"
    ) -> tuple["Board", Timestep]:
        """A step in which all stay who are not named, prey prefers `directions`, and turns come in these orders."""
        joint = [actions.get(sign, STAY) for sign in ascii_uppercase[: self.env.n_agents]]
        names = ["right", "down", "left", "up"]
        copies = len(self.state.elapsed)
        turns = [ascii_uppercase.index(sign) for sign in order or ascii_uppercase[: self.env.n_agents]]
        prey_turns = [ascii_lowercase.index(sign) for sign in prey_order or ascii_lowercase[: self.env.n_prey]]
        preferred = [names.index(name) for name in directions.split()]
        draws = Draws(
            torch.tensor(turns).expand(copies, -1),
            torch.tensor(prey_turns).expand(copies, -1),
            torch.tensor(preferred).expand(copies, self.env.n_prey, -1),
        )
        after, timestep = self.env.transition(self.state, torch.tensor(joint).expand(copies, -1), draws)
        return Board(self.env, after), timestep

    def where(self, signs: str) -> list[Place | None]:
        """Rows and columns of those named, None for who is out of the game."""
        predators, prey = places(self.env, self.state, 0)
        return [(predators + prey)[(ascii_uppercase[: self.env.n_agents] + ascii_lowercase).index(s)] for s in signs]


def index(env: PredatorPrey, row: int, column: int) -> int:
    """The cell of a place on the floor, in a wall as thick as the view reaches, and 1 at least."""
    border = max(1, env.view // 2)
    return (row + border) * (env.columns + 2 * border) + column + border


def places(env: PredatorPrey, state: PredatorPreyState, copy: int) -> tuple[list[Place | None], list[Place | None]]:
    """Rows and columns of predators and prey of one copy, None for who is out of the game."""
    border = max(1, env.view // 2)

    def of(cells: Tensor, present: Tensor) -> list[Place | None]:
        found = [divmod(cell, env.columns + 2 * border) for cell in cells[copy].tolist()]
        return [(r - border, c - border) if here else None for (r, c), here in zip(found, present[copy], strict=True)]

    return of(state.predators, state.hunting), of(state.prey, state.alive)


def random_actions(env: PredatorPrey, state: PredatorPreyState, random: torch.Generator, *, catch: bool) -> Tensor:
    """Uniform among the available ones, of which catching may be left out."""
    available = env.observe(state).avail_actions.flatten(0, 1).float()
    available[:, CATCH] *= catch
    return torch.multinomial(available, 1, generator=random).view(-1, env.n_agents)


def play(env: PredatorPrey, copies: int, *, catch: bool = True, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Returns and captures (B) of one random episode in each copy."""
    random = generator(seed)
    state, live = env.reset(copies, random), torch.ones(copies, dtype=torch.bool)
    returns, captures = torch.zeros(copies), torch.zeros(copies)
    while live.any():
        before = state.alive.sum(1)
        state, timestep = env.step(state, random_actions(env, state, random, catch=catch), random)
        returns += timestep.rewards.sum(1) * live
        captures += (before - state.alive.sum(1)) * live
        live &= ~(timestep.terminated | timestep.truncated)
    return returns, captures
