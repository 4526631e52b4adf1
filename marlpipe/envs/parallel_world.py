"""Exports a world for other libraries: one copy as an environment of PettingZoo's parallel API."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from marlpipe.envs.scene import Scenic
from marlpipe.errors import UserError, unknown
from marlpipe.runs.extras import install
from marlpipe.types import Env

try:
    from gymnasium.spaces import Box, Dict, Discrete
    from pettingzoo import ParallelEnv  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise UserError(f"ParallelWorld needs PettingZoo.\n  next: {install('pettingzoo')}") from error

RENDER_MODES = ["rgb_array"]

Seen = dict[str, dict[str, ndarray]]


class ParallelWorld(ParallelEnv):  # type: ignore[misc]
    """One copy of a world. Its agents are agent_0, agent_1, …, all of which act until the episode ends.

    An agent's observation is a dict: `observation` (O), and `action_mask` (A), which is 1 for available actions. The
    effect of an unavailable action is up to the world. Of a team reward each agent gets an equal share, so that in all
    worlds the sum over agents is the team reward.

    Args:
        render_mode: "rgb_array" makes `render` return a picture, of worlds with a scene; None disables it.

    Raises:
        UserError: an unknown render mode, a world without a scene, or invalid joint actions.
    """

    metadata = {"name": "marlpipe", "render_modes": RENDER_MODES, "render_fps": 10, "is_parallelizable": True}  # noqa: RUF012

    def __init__(self, env: Env[Any], *, render_mode: str | None = None) -> None:
        if render_mode is not None:
            if render_mode not in RENDER_MODES:
                raise unknown("render_mode", render_mode, RENDER_MODES)
            if not isinstance(env, Scenic):
                raise UserError(
                    f"{type(env).__name__} cannot be rendered, as it has no scene.\n  valid: no render_mode"
                )
        self.env, self.spec, self.render_mode = env, env.spec, render_mode
        self.possible_agents = [f"agent_{i}" for i in range(self.spec.n_agents)]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: Dict(
                observation=Box(-np.inf, np.inf, (self.spec.obs_dim,), np.float32),
                action_mask=Box(0, 1, (self.spec.n_actions,), np.int8),
            )
            for agent in self.possible_agents
        }
        self.action_spaces = {agent: Discrete(self.spec.n_actions) for agent in self.possible_agents}
        self.state_space = Box(-np.inf, np.inf, (self.spec.state_dim,), np.float32)
        self._generator = torch.Generator()
        self._generator.seed()

    def observation_space(self, agent: str) -> Dict:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        return self.action_spaces[agent]

    def reset(
        self,
        seed: int | None = None,
        options: Mapping[str, Any] | None = None,  # noqa: ARG002 PettingZoo's, and we have none
    ) -> tuple[Seen, dict[str, dict[str, Any]]]:
        """Begins an episode. Without a seed the generator continues from the last episode."""
        if seed is not None:
            self._generator.manual_seed(seed)
        self.agents = list(self.possible_agents)
        self._world = self.env.reset(1, self._generator)
        return self._seen(), {agent: {} for agent in self.agents}

    def _seen(self) -> Seen:
        obs, _, avail_actions = self.env.observe(self._world)
        observations, masks = obs[0].numpy().astype(np.float32), avail_actions[0].numpy().astype(np.int8)
        return {
            agent: {"observation": observation, "action_mask": mask}
            for agent, observation, mask in zip(self.possible_agents, observations, masks, strict=True)
        }

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[Seen, dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        if not self.agents:
            raise UserError("the episode is over.\n  next: reset() begins another one")
        if set(actions) != set(self.agents) or not all(
            space.contains(actions[agent]) for agent, space in self.action_spaces.items()
        ):
            raise UserError(
                f"{dict(actions)} is no joint action.\n"
                f"  valid: for each of {', '.join(self.agents)} a whole number from 0 to {self.spec.n_actions - 1}"
            )
        joint = torch.tensor([[int(actions[agent]) for agent in self.agents]])
        self._world, (rewards, terminated, truncated) = self.env.step(self._world, joint, self._generator)
        if not self.spec.local_rewards:
            rewards = rewards.mean(1, keepdim=True).expand_as(rewards)
        acted = self.agents
        self.agents = [] if terminated or truncated else acted
        return (
            self._seen(),
            dict(zip(acted, rewards[0].tolist(), strict=True)),
            dict.fromkeys(acted, bool(terminated)),
            dict.fromkeys(acted, bool(truncated)),
            {agent: {} for agent in acted},
        )

    def state(self) -> ndarray:
        """The world's state (S), in float32."""
        return self.env.observe(self._world).state[0].numpy().astype(np.float32)

    def render(self) -> ndarray | None:
        """A picture (H, W, 3) in 8 bits, or None without a render mode."""
        if self.render_mode is None or not isinstance(self.env, Scenic):
            return None
        from marlpipe.envs.rendering.draw import pixels  # matplotlib takes long to import

        return pixels(self.env.scene(self._world, 0, None))
