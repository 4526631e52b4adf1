"""The scenarios of VMAS, a vectorised simulator of robots in the plane (Bettini et al. 2022, arXiv 2207.03530).

VMAS is an optional extra under the GPL-3: it is imported unchanged, when its first world is built.
"""

import importlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.scene import Scene
from marlpipe.envs.vmas_scenes import scene
from marlpipe.errors import Bound, MisfitError, UserError, bounds_of, check_numbers, unknown
from marlpipe.runs.extras import install
from marlpipe.types import EnvSpec, Observation, Timestep


class VmasState(NamedTuple):
    """Observations of one time step. The simulator advances in place: only the latest state can step."""

    simulator: Any  # vmas.simulator.environment.Environment: one for each reset
    elapsed: Int[Tensor, " B"]  # env steps since the reset
    obs: Float[Tensor, "B N O"]
    positions: Float[Tensor, "B E 2"]  # of the E entities, in m
    angles: Float[Tensor, "B E"]  # rad
    visible: Bool[Tensor, "B E"]


def import_vmas() -> Any:
    """The package, without the notice that its dependency gym prints. UserError where it is missing."""
    with suppress(ImportError):
        importlib.import_module("gym_notices.notices").notices.clear()
    try:
        return importlib.import_module("vmas")
    except ImportError as error:
        raise UserError(
            f"env=vmas needs the package vmas, which cannot be imported: {error}.\n  next: {install('vmas')}"
        ) from error


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Makes all random draws of VMAS depend on one seed of the generator; no other random state changes.

    VMAS uses the process-wide generators of torch, numpy and Python. During each call it replaces their states by its
    own `vmas_random_state`, except those of GPUs, and does not restore them if the call fails.
    """
    device = generator.device
    of_numpy, of_python = numpy.random.get_state(), random.getstate()
    seed = int(torch.randint(2**31, (), generator=generator, device=device))
    importlib.import_module("vmas.simulator.environment").Environment.vmas_random_state[:] = (
        torch.Generator().manual_seed(seed).get_state(),
        numpy.random.RandomState(seed).get_state(),
        random.Random(seed).getstate(),
    )
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            numpy.random.set_state(of_numpy)
            random.setstate(of_python)


def flat(seen: Any) -> Float[Tensor, "B O"]:
    """An agent's observation as one vector; some scenarios return it in named parts."""
    return torch.cat([flat(part) for part in seen.values()], dim=1) if isinstance(seen, Mapping) else seen.flatten(1)


def check_arguments(scenario: str, arguments: Any, takes: Sequence[str]) -> dict[str, Any]:
    """The arguments of a scenario. UserError for an unknown one."""
    if not isinstance(arguments, Mapping):
        raise UserError(
            f"arguments cannot be {arguments!r}.\n  valid: null, or values by name of {', '.join(takes)}\n"
            "  next: set them, as in 'env.arguments={n_agents: 2}'"
        )
    for name in arguments:
        if name not in takes:
            raise unknown(f"env.arguments: the argument of {scenario}", name, takes)
    return dict(arguments)


@dataclass(kw_only=True, eq=False)
class VmasWorld:
    """A scenario with discrete actions: zero, minimum or maximum of each control of an agent, in all combinations.

    A scenario with communication has a further factor, for the message. Where agents have fewer actions or shorter
    observations than others, padded actions are unavailable and observations are padded with zeros. The world's state
    is all observations. Agent i gets the reward r_i / N, so that the team reward is the mean over agents, as in
    BenchMARL's figures, also where the scenario rewards all agents equally. An episode ends when the scenario is done,
    or after `horizon` env steps.
    """

    scenario: str  # its name, as in vmas.scenarios, vmas.mpe_scenarios and vmas.debug_scenarios
    arguments: Mapping[str, Any] | None  # of the scenario
    horizon: Annotated[int, Bound(1, 10**6)]  # env steps
    local_rewards: bool  # whether agents may learn from their own rewards
    time_limit_is_terminal: bool
    spec: EnvSpec = field(init=False)

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.scenario

    @staticmethod
    def packages(config: Mapping[str, Any]) -> list[str]:  # noqa: ARG004 whatever the scenario
        """The packages that a world of this config needs, in addition to marlpipe."""
        return ["vmas"]

    def __post_init__(self) -> None:
        check_numbers("env", vars(self), bounds_of(VmasWorld.__init__))
        vmas = import_vmas()
        scenarios = {*vmas.scenarios, *vmas.mpe_scenarios, *vmas.debug_scenarios}
        if self.scenario not in scenarios:
            raise unknown("env.scenario: the scenario", self.scenario, scenarios)
        module = importlib.import_module("vmas.scenarios").load(f"{self.scenario}.py")
        self._scenario = module.Scenario
        # All scenarios pop their arguments from `kwargs`, which is the only list of them.
        takes = re.findall(r'kwargs\.pop\(\s*"(\w+)"', Path(module.__file__).read_text(encoding="utf-8"))
        self._arguments = check_arguments(self.scenario, self.arguments or {}, takes)
        with drawing_from(torch.Generator().manual_seed(0)):
            try:
                simulator = self._simulator(1, torch.device("cpu"))
                widths = [flat(seen).shape[1] for seen in simulator.reset()]
                if not widths:
                    raise ValueError("it has no agent")
            except Exception as error:  # the arguments are the cause of any error here
                raise UserError(
                    f"the scenario {self.scenario} cannot be built with {self._arguments}: {error!r}\n"
                    f"  valid: suitable values of {', '.join(takes)}\n"
                    "  next: correct env.arguments, or leave one out for its default"
                ) from error
        self._widths = widths
        self._n_actions = torch.tensor([space.n for space in simulator.action_space])
        self.spec = EnvSpec(
            n_agents=len(widths),
            n_actions=int(self._n_actions.max()),
            obs_dim=max(widths),
            state_dim=max(widths) * len(widths),
            horizon=self.horizon,
            graph=graphs.complete(len(widths)),
            local_rewards=self.local_rewards,
        )

    def _simulator(self, n: int, device: torch.device) -> Any:
        return import_vmas().make_env(
            self._scenario(), num_envs=n, device=device, continuous_actions=False, **self._arguments
        )

    def _observed(self, simulator: Any, observations: list[Any], elapsed: Int[Tensor, " B"]) -> VmasState:
        seen = [flat(observation) for observation in observations]
        for agent, own, width in zip(simulator.agents, seen, self._widths, strict=True):
            if own.shape != (len(elapsed), width):
                raise MisfitError(
                    f"the scenario {self.scenario}: {agent.name} observes {tuple(own.shape)} numbers.\n"
                    f"  valid: {(len(elapsed), width)}, copies and as many numbers as at its first reset\n"
                    "  next: correct the scenario"
                )
        entities = simulator.world.entities
        return VmasState(
            simulator=simulator,
            elapsed=elapsed,
            obs=torch.stack([F.pad(own, (0, self.spec.obs_dim - own.shape[1])) for own in seen], dim=1),
            positions=torch.stack([entity.state.pos for entity in entities], dim=1),
            angles=torch.cat([entity.state.rot for entity in entities], dim=1),
            visible=torch.stack([entity.is_rendering for entity in entities], dim=1),
        )

    def reset(self, n: int, generator: torch.Generator) -> VmasState:
        """A new simulator, which costs about one env step and keeps nothing of earlier episodes."""
        with drawing_from(generator):
            simulator = self._simulator(n, generator.device)
            observations = simulator.reset()
        return self._observed(simulator, observations, torch.zeros(n, dtype=torch.long, device=generator.device))

    def observe(self, state: VmasState) -> Observation:
        n, device = len(state.elapsed), state.elapsed.device
        self._n_actions = self._n_actions.to(device)  # copied once, when the world moves to another device
        avail_actions = torch.arange(self.spec.n_actions, device=device) < self._n_actions.unsqueeze(1)
        return Observation(state.obs, state.obs.flatten(1), avail_actions.expand(n, -1, -1))

    def step(
        self, state: VmasState, actions: Int[Tensor, "B N"], generator: torch.Generator
    ) -> tuple[VmasState, Timestep]:
        """UserError for a state that is not the latest one."""
        simulator = state.simulator
        if (simulator.steps != state.elapsed).any():
            raise UserError(
                f"{self.scenario} has gone on since this state, and cannot go back.\n"
                "  valid: the state that the last step of these episodes returned\n"
                "  next: reset the world to start again"
            )
        with drawing_from(generator):
            observations, rewards, done, _ = simulator.step(list(actions.unsqueeze(2).unbind(1)))
        after = self._observed(simulator, observations, state.elapsed + 1)
        over, late = done.flatten().bool(), after.elapsed >= self.horizon
        terminated = over | late if self.time_limit_is_terminal else over
        shares = torch.stack([reward.flatten() for reward in rewards], dim=1) / len(rewards)
        return after, Timestep(rewards=shares, terminated=terminated, truncated=late & ~terminated)

    def scene(self, state: VmasState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """The entities, with the number of the action that each agent takes."""
        taken = [] if actions is None else actions.tolist()
        places, angles, visible = (field[copy].tolist() for field in (state.positions, state.angles, state.visible))
        return scene(state.simulator, copy, places, angles, visible, taken)
