"""Predator-Prey against a plain loop over individuals, on the same random numbers."""

from typing import Any

import pytest
import torch

from marlpipe.envs.predator_prey import PredatorPrey
from marlpipe.envs.predator_prey_hunt import draw
from tests.envs.hunting import CATCH, STEPS, Place, generator, places, world


def plus(place: Place, step: tuple[int, int]) -> Place:
    return place[0] + step[0], place[1] + step[1]


class Loop:
    """One copy of the world, one individual after the other and cell by cell, with nothing but lists of places."""

    def __init__(self, env: PredatorPrey, predators: list[Place | None], prey: list[Place | None]) -> None:
        self.env, self.predators, self.prey = env, predators, prey
        self.blocked = self.caught = self.escaped = 0

    def inside(self, place: Place) -> bool:
        return 0 <= place[0] < self.env.rows and 0 <= place[1] < self.env.columns

    def free(self, place: Place) -> bool:
        return self.inside(place) and place not in self.predators and place not in self.prey

    def step(self, actions: list[int], predator_order: list[int], prey_order: list[int], directions: Any) -> float:
        """The reward."""
        reward = 0.0
        for i in predator_order:
            here = self.predators[i]
            if here is not None and actions[i] in STEPS:
                there = plus(here, STEPS[actions[i]])
                if self.free(there):
                    self.predators[i] = there
                else:
                    self.blocked += 1
        for j, preferred in zip(prey_order, directions, strict=True):
            here = self.prey[j]
            if here is None:
                continue
            around = [plus(here, step) for step in STEPS.values()]
            catchers = [i for i, place in enumerate(self.predators) if place in around and actions[i] == CATCH]
            if len(catchers) >= self.env.catch_threshold:
                reward += self.env.capture_reward
                self.caught += 1
                self.prey[j] = None
                for i in catchers:
                    self.predators[i] = None
                continue
            if catchers:
                reward += self.env.punishment
                self.escaped += 1
            self.prey[j] = next((around[d] for d in preferred if self.free(around[d])), here)
        return reward

    def cell(self, place: Place) -> list[float]:
        contents = [float(place in self.predators), float(place in self.prey)]
        return contents + [0.0] * self.env.hare_channel

    def obs(self, i: int) -> list[float]:
        here, radius = self.predators[i], self.env.view // 2
        if here is None:
            return [0.0] * self.env.spec.obs_dim
        reach = range(-radius, radius + 1)
        return [number for down in reach for right in reach for number in self.cell(plus(here, (down, right)))]

    def state(self) -> list[float]:
        floor = [(row, column) for row in range(self.env.rows) for column in range(self.env.columns)]
        return [number for place in floor for number in self.cell(place)]

    def avail_actions(self, i: int) -> list[bool]:
        here = self.predators[i]
        if here is None:
            return [False, False, False, False, True, False]
        around = [plus(here, step) for step in STEPS.values()]
        return [*(self.inside(place) for place in around), True, any(place in self.prey for place in around)]


@pytest.mark.parametrize(
    "changes",
    [
        {"n_agents": 8},
        {"rows": 4, "columns": 5, "n_agents": 6, "n_prey": 5, "view": 3},
        {"rows": 3, "columns": 7, "n_agents": 8, "n_prey": 3, "view": 7, "hare_channel": False, "catch_threshold": 3},
        {"rows": 5, "columns": 3, "n_agents": 2, "n_prey": 9, "view": 1, "catch_threshold": 1},
        {"rows": 1, "columns": 9, "n_agents": 4, "n_prey": 3, "punishment": 0.0},
    ],
    ids=["default", "crowded", "three needed", "one suffices", "a corridor"],
)
def test_as_a_loop_over_individuals(changes: dict[str, Any]) -> None:
    """Any actions, available or not; the random numbers are the same."""
    env, random, copies = world(**({"punishment": -1.5} | changes)), generator(), 40
    blocked = caught = escaped = 0
    for _ in range(4):
        state = env.reset(copies, random)
        loops = [Loop(env, *places(env, state, copy)) for copy in range(copies)]
        for elapsed in range(1, 11):
            actions = torch.randint(9, (copies, env.n_agents), generator=random).clamp(max=CATCH)
            draws = draw(copies, env.n_agents, env.n_prey, random)
            state, timestep = env.transition(state, actions, draws)
            told = zip(loops, actions.tolist(), *(field.tolist() for field in draws), strict=True)
            rewards = [loop.step(*given) for loop, *given in told]
            assert timestep.rewards[:, 0].tolist() == rewards
            assert not timestep.rewards[:, 1:].any()
            over = [not any(loop.predators) or not any(loop.prey) for loop in loops]
            assert timestep.terminated.tolist() == over
            assert [places(env, state, copy) for copy in range(copies)] == [(x.predators, x.prey) for x in loops]
            seen = env.observe(state)
            assert seen.obs.tolist() == [[loop.obs(i) for i in range(env.n_agents)] for loop in loops]
            assert seen.state.tolist() == [loop.state() for loop in loops]
            assert seen.avail_actions.tolist() == [[x.avail_actions(i) for i in range(env.n_agents)] for x in loops]
            assert (state.elapsed == elapsed).all()
        blocked += sum(loop.blocked for loop in loops)
        caught += sum(loop.caught for loop in loops)
        escaped += sum(loop.escaped for loop in loops)
    assert blocked > 100
    assert caught > 20
    assert escaped > 100 or env.catch_threshold == 1
