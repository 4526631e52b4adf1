"""Any world of PettingZoo's parallel API with Discrete actions, such as MPE2 and Butterfly (Terry et al. 2021)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.opposed_rewards import OpposedRewards
from marlpipe.envs.pettingzoo_import import Source, creator
from marlpipe.envs.scene import Pixels, Scene
from marlpipe.errors import Bound, UserError, refused
from marlpipe.types import EnvSpec, Observation, Timestep

if TYPE_CHECKING:  # these need the package
    from marlpipe.envs.pettingzoo_copies import Copies, CopiesStep
    from marlpipe.envs.pettingzoo_workers import Workers


@dataclass(frozen=True, eq=False)
class PettingZooState:
    """Observations of external worlds. It is no value: the worlds cannot go back, so only the latest state can step."""

    elapsed: Int[Tensor, " B"]  # env steps since the reset
    obs: Float[Tensor, "B N O"]
    state: Float[Tensor, "B S"]
    avail_actions: Bool[Tensor, "B N A"]
    version: int  # number of resets and steps of the world so far


MOST_WORKERS = 1000


def listed(given: Any) -> list[Any]:
    """The members of a list; anything else is the only member."""
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def coupling(n_agents: int, edges: Sequence[Any] | None) -> Bool[Tensor, "N N"]:
    """All pairs of agents, or the given ones only. UserError for an edge that is no pair of two agents."""
    if edges is None:
        return graphs.complete(n_agents)
    graph = torch.zeros(n_agents, n_agents, dtype=torch.bool)
    numbers = Bound(0, n_agents - 1)
    for edge in listed(edges):
        pair = listed(edge)
        if len(pair) != 2 or pair[0] == pair[1] or not all(map(numbers.holds, pair)):
            raise UserError(
                f"edges: {edge} does not couple two agents.\n"
                f"  valid: pairs of different agents from 0 to {n_agents - 1}, or null for all pairs\n"
                "  next: set it, as in env.edges=[[0,1]]"
            )
        graph[pair[0], pair[1]] = graph[pair[1], pair[0]] = True
    return graph


@dataclass(kw_only=True, eq=False)
class PettingZooWorld:
    """Copies of one world, in this process or in workers, with the same results.

    Observations of any flattenable space, and actions, are padded to a common length; padded actions are never
    available. Masks are read from the observation or the info, under `action_mask`. Agents are in the order of
    `possible_agents`. An agent that has died or not yet appeared observes zeros, can only take action 0, which is not
    passed to the world, and gets reward 0. The state is the world's `state()`, or all observations where that fails.
    8-bit pixels are scaled to 0 to 1; other numbers are unchanged.

    All agents are one team, whose reward is the sum of theirs. A world of opposed sides can be seen by its rewards
    alone: then `remarks` says so.

    An episode is terminated if every agent was; otherwise, and at the horizon, it is truncated. A copy is seeded from
    the generator at each reset, reused for later episodes, and not stepped after its episode has ended.
    """

    name: str  # PettingZoo's own, as sisl/pursuit-v5, a module with a parallel_env, or module:function
    arguments: Mapping[str, Any] | None  # keyword arguments of the world
    horizon: Annotated[int, Bound(1, 10**6)] | None  # env steps; None: the world's own max_cycles
    local_rewards: bool
    edges: Sequence[Any] | None  # pairs of coupled agents; None: all
    rebuild: bool  # whether to make a new world for each episode
    # processes; 0: this process only, "auto": as many as threads, if that is faster
    workers: Annotated[int, Bound(0, MOST_WORKERS)] | Literal["auto"]
    spec: EnvSpec = field(init=False)
    agents: list[str] = field(init=False)  # their names
    remarks: list[str] = field(init=False)  # what the episodes have shown that the user should know

    @staticmethod
    def packages(config: Mapping[str, Any]) -> list[str]:
        """The packages that a world of this config needs, in addition to marlpipe."""
        name = str(config["name"])
        return ["pettingzoo"] if "/" in name else ["pettingzoo", re.split("[.:]", name)[0]]

    def __post_init__(self) -> None:
        if self.workers != "auto" and not Bound(0, MOST_WORKERS).holds(self.workers):
            valid = "auto, or a number of processes from 0, which is this one alone"
            raise refused("workers", self.workers, valid, "auto")
        if not isinstance(self.arguments, Mapping | None):
            raise refused("arguments", self.arguments, "null, or the world's arguments by name", "{max_cycles: 25}")
        source = Source(self.name, self.arguments or {})
        creator(self.name)  # UserError where the package that the next import needs is missing
        from marlpipe.envs.pettingzoo_copies import Layout

        layout = Layout(source)
        horizon = layout.max_cycles if self.horizon is None else self.horizon
        if horizon is None:
            raise UserError(
                f"{self.name} does not say how long an episode may last: it has no max_cycles.\n"
                "  next: set a horizon, as in env.horizon=100; longer episodes are truncated there"
            )
        if not Bound(1).holds(horizon):
            valid = "a whole number of env steps of at least 1, or null for the world's own max_cycles"
            raise refused("horizon", horizon, valid, "100; longer episodes are truncated there")
        self.spec = EnvSpec(
            n_agents=len(layout.agents),
            n_actions=layout.n_actions,
            obs_dim=layout.obs_dim,
            state_dim=layout.state_dim,
            horizon=horizon,
            graph=coupling(len(layout.agents), self.edges),
            local_rewards=self.local_rewards,
        )
        self.agents, self.remarks, self._opposed = layout.agents, [], OpposedRewards(layout.agents)
        self._source = source
        self._copies: Copies | Workers | None = None
        self._version = 0

    def _start(self, n: int) -> "Copies | Workers":
        from marlpipe.envs.pettingzoo_copies import Copies
        from marlpipe.envs.pettingzoo_workers import Workers, workers_that_pay

        def copies() -> Copies:
            return Copies(self._source, horizon=self.spec.horizon, rebuild=self.rebuild)

        count = self.workers
        if not isinstance(count, int):
            threads = torch.get_num_threads()
            count = threads > 1 and workers_that_pay(n=n, threads=threads, step_s=copies().seconds_per_step())
        if count:
            return Workers(count, self._source, horizon=self.spec.horizon, rebuild=self.rebuild)
        return copies()

    @contextmanager
    def _used(self, copies: "Copies | Workers") -> Iterator[None]:
        """Discards the copies if the body fails or is interrupted, since their state is then unknown."""
        self._copies, self._version = None, self._version + 1
        yield
        self._copies = copies

    def reset(self, n: int, generator: torch.Generator) -> PettingZooState:
        """Draws one seed per copy in order, so that n copies at once equal n resets of one."""
        copies, device = self._copies or self._start(n), generator.device
        seeds = torch.randint(2**31 - 1, (n,), generator=generator, device=device)
        with self._used(copies):
            seen = copies.reset(seeds.tolist())
        return self._state(seen, torch.zeros(n, dtype=torch.long, device=device))

    def _state(self, seen: "CopiesStep", elapsed: Int[Tensor, " B"]) -> PettingZooState:
        obs, state, avail_actions = (torch.from_numpy(part).to(elapsed.device) for part in seen[:3])
        return PettingZooState(elapsed, obs, state, avail_actions, self._version)

    def _at(self, state: PettingZooState) -> "Copies | Workers":
        """The copies, if the state is their latest one; UserError otherwise."""
        if self._copies is None or state.version != self._version:
            raise UserError(
                f"{self.name} has gone on since this state, and cannot go back.\n"
                "  valid: the state that the world's last reset or step returned\n"
                "  next: finish one batch of episodes before resetting for another"
            )
        return self._copies

    def observe(self, state: PettingZooState) -> Observation:
        return Observation(state.obs, state.state, state.avail_actions)

    def step(
        self,
        state: PettingZooState,
        actions: Int[Tensor, "B N"],
        generator: torch.Generator,  # noqa: ARG002 all that is random follows from the seeds of the reset
    ) -> tuple[PettingZooState, Timestep]:
        copies = self._at(state)
        with self._used(copies):
            seen = copies.step(actions.cpu().numpy())
        opposed = self._opposed.seen(seen.rewards)
        if opposed:
            self.remarks.append(
                f"{self.name}: {opposed}. All agents learn as one team from the sum of their rewards. If they are no "
                "team, name a world whose other side is part of the world, as in env.name=module:function"
            )
        after = self._state(seen, state.elapsed + 1)
        return after, Timestep(*(torch.from_numpy(part).to(actions.device) for part in seen[3:]))

    def scene(
        self,
        state: PettingZooState,
        copy: int,
        actions: Int[Tensor, " N"] | None = None,  # noqa: ARG002 the world draws itself
    ) -> Scene:
        rgb = self._at(state).picture(copy)
        height, width, _ = rgb.shape
        return Scene((0.0, float(width)), (0.0, float(height)), [Pixels(rgb)])
