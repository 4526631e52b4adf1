"""A world of PettingZoo written to be read by hand: three unlike agents come, die and are cut off as a script says.

Worker processes import it from here.
"""

import os
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from pettingzoo import ParallelEnv

AGENTS = ["scout", "cook", "smith"]


class Company(ParallelEnv):
    """Rewards are the actions that agents are told; the observations count env steps and resets.

    script: for each agent when it comes, when it leaves (env steps, at whose end), and how: terminated or truncated.
    trouble: what is raised, or "exit", when the scout's second action is 1.
    """

    metadata = {"name": "company", "render_modes": ["rgb_array"]}  # noqa: RUF012
    made = 0  # worlds in this process

    def __init__(self, script: dict[str, Any] | None = None, render_mode: str | None = None, trouble: str = "") -> None:
        type(self).made += 1
        self.script = {agent: (script or {}).get(agent, (0, 3, "terminated")) for agent in AGENTS}
        self.render_mode, self.trouble, self.resets = render_mode, trouble, 0
        self.possible_agents = list(AGENTS)
        seen = Dict(observation=Box(0, 255, (2,), np.uint8), action_mask=Box(0, 1, (4,), np.int8))
        self.spaces = {"scout": Box(-np.inf, np.inf, (4,)), "cook": Discrete(3), "smith": seen}
        self.acts = {"scout": Discrete(2), "cook": Discrete(3, start=5), "smith": Discrete(4)}

    def observation_space(self, agent: str) -> Any:
        return self.spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.acts[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:  # noqa: ARG002 as PettingZoo calls it
        self.resets, self.elapsed, self.seed, self.records = self.resets + 1, 0, seed, 0
        self.agents = [agent for agent in AGENTS if self.script[agent][0] == 0]
        return self.see(self.agents), {agent: self.info(agent) for agent in self.agents}

    def see(self, agents: list[str]) -> dict[str, Any]:
        t = self.elapsed
        mask = np.arange(4, dtype=np.int8) != t % 4
        seen = {
            "scout": np.array([t, self.resets, self.seed, self.records], dtype=np.float32),
            "cook": t % 3,
            "smith": {"observation": np.array([51 * t, 255], dtype=np.uint8), "action_mask": mask.astype(np.int8)},
        }
        return {agent: seen[agent] for agent in agents}

    def info(self, agent: str) -> dict[str, Any]:
        """The cook may do nothing at first, and then only the last thing."""
        return {"action_mask": np.array([0, 0, self.elapsed > 0], dtype=np.int8)} if agent == "cook" else {}

    def step(self, actions: dict[str, int]) -> Any:
        assert self.agents, "stepped after the end"
        assert set(actions) == set(self.agents), f"{set(actions)} were told, {self.agents} are here"
        assert all(self.acts[agent].contains(action) for agent, action in actions.items())
        if self.trouble and self.elapsed == 1 and actions["scout"] == 1:
            if self.trouble == "exit":
                os._exit(7)
            raise RuntimeError(self.trouble)
        self.elapsed += 1
        self.records += sum(actions.values())
        t, acted = self.elapsed, self.agents
        ended = {way: {a: self.script[a][1:] == (t, way) for a in acted} for way in ("terminated", "truncated")}
        left = {agent for agent in acted if any(ended[way][agent] for way in ended)}
        came = [agent for agent in AGENTS if self.script[agent][0] == t]
        self.agents = [agent for agent in AGENTS if agent in {*acted, *came} - left]
        shown = [agent for agent in AGENTS if agent in {*acted, *came}]
        rewards = {agent: float(action) for agent, action in actions.items()}
        infos = {agent: self.info(agent) for agent in shown}
        return self.see(shown), rewards, ended["terminated"], ended["truncated"], infos

    def state(self) -> np.ndarray:
        return np.array([[self.elapsed, -1], [len(self.agents), self.seed]])

    def render(self) -> np.ndarray | None:
        if self.render_mode != "rgb_array":
            return None
        return np.full((2, 3, 3), self.records, dtype=np.uint8)


class Stateless(Company):
    def state(self) -> np.ndarray:
        return ParallelEnv.state(self)


class Forgetful(Company):
    """A reset does not set its clock back."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        before = getattr(self, "elapsed", 0)
        super().reset(seed, options)
        self.elapsed = before
        self.script = dict.fromkeys(AGENTS, (0, before + 3, "terminated"))
        return self.see(self.agents), {}


class Nameless(Company):
    def __init__(self) -> None:
        super().__init__()
        del self.possible_agents


class Duck:
    """Has the methods, but not the ancestors, of a ParallelEnv, and says how long an episode may last."""

    max_cycles = 9

    def __init__(self) -> None:
        self.company = Company()

    def __getattr__(self, name: str) -> Any:
        if name == "unwrapped":
            raise AttributeError(name)
        return getattr(self.company, name)


class Silent(Company):
    """Cannot draw itself."""

    def __init__(self) -> None:
        super().__init__()


def wordy(**arguments: Any) -> Company:
    """Observes what has no fixed length."""
    from gymnasium.spaces import Sequence

    world = Company(**arguments)
    world.spaces["cook"] = Sequence(Discrete(2))
    return world


def strong(**arguments: Any) -> Company:
    """Acts in two dimensions."""
    from gymnasium.spaces import MultiDiscrete

    world = Company(**arguments)
    world.acts["smith"] = MultiDiscrete([2, 2])
    return world


def nothing() -> str:
    return "no world"
