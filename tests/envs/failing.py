"""Worlds that fail or answer wrongly as an argument says."""

import sys
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.types import EnvSpec, Observation, Timestep


class Answering(ParallelEnv):
    """Two agents that see three numbers, for five env steps; `fault` sets in at the third."""

    metadata = {"name": "answering"}  # noqa: RUF012
    max_cycles = 5

    def __init__(self, fault: str = "", names: tuple[str, ...] = ("first_0", "second_0")) -> None:
        self.fault, self.possible_agents = fault, list(names)

    def observation_space(self, agent: str) -> Any:  # noqa: ARG002
        return Box(-1, 1, (3,), np.float32)

    def action_space(self, agent: str) -> Any:  # noqa: ARG002
        return Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:  # noqa: ARG002
        self.agents, self.elapsed = list(self.possible_agents), 0
        return self.see(), {}

    def see(self) -> dict[str, Any]:
        return {agent: np.full(3, 0.1 * self.elapsed, dtype=np.float32) for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        self.elapsed += 1
        acted, over = list(actions), self.elapsed == self.max_cycles
        answer: list[dict[str, Any]] = [
            self.see(),
            dict.fromkeys(acted, 1.0),
            dict.fromkeys(acted, over),
            dict.fromkeys(acted, False),
            {agent: {} for agent in acted},
        ]
        if over:
            self.agents = []
        if self.elapsed >= 3:
            getattr(self, self.fault or "nothing")(answer, acted[0])
        return tuple(answer)

    def nothing(self, answer: Any, agent: str) -> None: ...

    def broadcast(self, answer: Any, agent: str) -> None:
        answer[0][agent] = np.float32([0.5])

    def nested(self, answer: Any, agent: str) -> None:
        answer[0][agent] = [[0.0], [0.1], [0.2]]

    def words(self, answer: Any, agent: str) -> None:
        answer[0][agent] = np.array(["a", "b", "c"])

    def unseen(self, answer: Any, agent: str) -> None:
        del answer[0][agent]

    def unpaid(self, answer: Any, agent: str) -> None:
        del answer[1][agent]

    def endless(self, answer: Any, agent: str) -> None:
        del answer[2][agent]

    def uninformed(self, answer: Any, agent: str) -> None:
        del answer[4][agent]

    def pair(self, answer: Any, agent: str) -> None:
        answer[1][agent] = np.ones(2)

    def unsure(self, answer: Any, agent: str) -> None:
        answer[3][agent] = 0.5

    def masked(self, answer: Any, agent: str) -> None:
        answer[4][agent] = {"action_mask": np.ones(3)}

    def short(self, answer: Any, agent: str) -> None:  # noqa: ARG002
        answer.pop()

    def arrays(self, answer: Any, agent: str) -> None:  # noqa: ARG002
        answer[1] = {name: np.array([reward]) for name, reward in answer[1].items()}
        answer[2] = {name: np.array([end]) for name, end in answer[2].items()}
        answer[3] = {name: np.bool_(end) for name, end in answer[3].items()}

    def opposed(self, answer: Any, agent: str) -> None:
        answer[1][agent] = -2.0

    def exits(self, answer: Any, agent: str) -> None:  # noqa: ARG002
        sys.exit(3)

    def fortune(self, answer: Any, agent: str) -> None:
        answer[1][agent] = 10**400

    def misspelt(self, answer: Any, agent: str) -> None:
        answer[1][f"{agent}_"] = 100.0

    def stranger(self, answer: Any, agent: str) -> None:  # noqa: ARG002
        self.agents = [*self.agents, f"{agent}_"]

    def nobody(self, answer: Any, agent: str) -> None:  # noqa: ARG002
        self.agents = None


class Deserted(Answering):
    """Its episodes begin with nobody."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        answer = super().reset(seed, options)
        self.agents = []
        return answer


class Panic(BaseException):
    """As compiled worlds raise it, which is no `Exception`."""


class OwnState(NamedTuple):
    elapsed: Tensor


class Own:
    """Two agents that see four numbers, for five env steps; `fault` sets in at the third, where it is about time."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.spec = EnvSpec(
            n_agents=2,
            n_actions=3,
            obs_dim=4,
            state_dim=3,
            horizon=5,
            graph=graphs.complete(2),
            local_rewards=False,
        )

    def reset(self, n: int, generator: torch.Generator) -> OwnState:  # noqa: ARG002
        return OwnState(torch.zeros(n, dtype=torch.long))

    def observe(self, state: OwnState) -> Any:
        n, now = len(state.elapsed), bool((state.elapsed >= 3).any())
        obs, own, mask = torch.zeros(n, 2, 4), torch.zeros(n, 3), torch.ones(n, 2, 3, dtype=torch.bool)
        match self.fault:
            case "narrow":
                obs = obs[..., :3]
            case "narrow later" if now:
                obs = obs[..., :3]
            case "numbers as masks":
                return Observation(obs, own, mask.float())
            case "unknown observation" if now:
                obs[1, 1, 2] = torch.nan
            case "unknown state" if now:
                own[1, 2] = torch.inf
            case "numbers as masks later" if now:
                return Observation(obs, own, mask.float())
            case "arrays later" if now:
                return Observation(obs.numpy(), own, mask)
            case "nothing to do" if now:
                mask[1, 0] = False
            case "two":
                return obs, own
        return Observation(obs, own, mask)

    def step(self, state: OwnState, actions: Tensor, generator: torch.Generator) -> Any:  # noqa: ARG002
        elapsed = state.elapsed + 1
        now, rewards = bool((elapsed >= 3).any()), torch.ones(actions.shape)
        match self.fault:
            case "team reward":
                rewards = torch.ones(len(elapsed))
            case "unknown reward" if now:
                rewards[1, 0] = -torch.inf
            case "exits" if now:
                sys.exit(3)
            case "stops" if now:
                next(iter(()))
            case "halves as ends" if now:
                return OwnState(elapsed), Timestep(rewards, torch.full((len(elapsed),), 0.5), elapsed < 0)
            case "never ends":
                return OwnState(elapsed), Timestep(rewards, elapsed < 0, elapsed < 0)
            case "panics" if now:
                raise Panic
            case "interrupts" if now:
                raise KeyboardInterrupt
            case "closes" if now:
                raise GeneratorExit
            case "raises" if now:
                raise ValueError("a fault\nof two lines")
        return OwnState(elapsed), Timestep(rewards, elapsed >= 5, torch.zeros(len(elapsed), dtype=torch.bool))
