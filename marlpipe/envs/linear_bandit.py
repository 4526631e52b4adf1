"""A contextual linear bandit for several agents: action k of agent i pays ⟨x, θ*_ik⟩ plus noise (LOMAQ §3.2).

LOMAQ reports no experiment with it; the default sizes are ours. A block J of agents gets r_J = Σ_{i∈J} r_i; the bound
S_θ = 1/n on the norm of the parameters keeps E[r_J] within [−1, 1], as Theorem 1 assumes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.envs.scene import Box, Label, Line, Scene, Shape
from marlpipe.errors import Bound, UserError, bounds_of, check_numbers
from marlpipe.types import EnvSpec, Observation, Timestep


class BanditState(NamedTuple):
    """Everything that the next round depends on."""

    context: Float[Tensor, "B D"]  # x of this round
    elapsed: Int[Tensor, " B"]  # rounds since the reset


def on_sphere(shape: tuple[int, ...], radius: float, generator: torch.Generator) -> Float[Tensor, "*X D"]:
    """Vectors of this norm in uniformly random directions; `shape` ends with their dimension D."""
    return radius * F.normalize(torch.randn(shape, generator=generator, device=generator.device), dim=-1)


def in_ball(shape: tuple[int, ...], radius: float, generator: torch.Generator) -> Float[Tensor, "*X D"]:
    """Uniformly random vectors of at most this norm: a share of ρᴰ of them is within ρ · radius."""
    share = torch.rand((*shape[:-1], 1), generator=generator, device=generator.device)
    return share ** (1 / shape[-1]) * on_sphere(shape, radius, generator)


def expected_rewards(contexts: Float[Tensor, "*B D"], parameters: Float[Tensor, "N K D"]) -> Float[Tensor, "*B N K"]:
    """⟨x, θ*_ik⟩ of each agent i and action k."""
    return torch.einsum("...d,nkd->...nk", contexts, parameters)


def regret(
    contexts: Float[Tensor, "*B D"], actions: Int[Tensor, "*B N"], parameters: Float[Tensor, "N K D"]
) -> Float[Tensor, "*B"]:
    """Expected regret of the team in a round: Σ_i [max_k ⟨x, θ*_ik⟩ − ⟨x, θ*_{i,a_i}⟩] (LOMAQ §3.2)."""
    means = expected_rewards(contexts, parameters)
    return (means.amax(-1) - means.gather(-1, actions.unsqueeze(-1)).squeeze(-1)).sum(-1)


@dataclass(kw_only=True, eq=False)
class LinearBandit:
    """`horizon` rounds with a new context in each, then termination. All agents observe the context, the state.

    They are uniform on the sphere of radius S_x = `context_radius`, or the rows of `contexts`, the same in every copy.
    `parameters` holds θ*, drawn with `instance_seed` uniformly from the ball of radius S_θ = 1/n. Each agent's reward
    has independent Gaussian noise; the noise of a block's reward has the standard deviation R_J = noise · √|J|. The
    coupling graph has no edges.
    """

    n_agents: Annotated[int, Bound(1, 1000)]
    n_actions: Annotated[int, Bound(1, 100)]  # K
    context_dim: Annotated[int, Bound(1, 1000)]  # D
    horizon: Annotated[int, Bound(1, 10**6)]  # rounds
    context_radius: Annotated[float, Bound(0, 1, integer=False, exclusive_low=True)]  # S_x, so that |E[r]| ≤ 1
    noise: Annotated[float, Bound(0, 10**6, integer=False)]  # standard deviation of each agent's reward
    instance_seed: Annotated[int, Bound(0, 2**32 - 1)]
    contexts: Sequence[Any] | Float[Tensor, "T D"] | None  # T = horizon
    parameters: Float[Tensor, "N K D"] = field(init=False)
    spec: EnvSpec = field(init=False)

    def __post_init__(self) -> None:
        check_numbers("env", vars(self), bounds_of(LinearBandit.__init__))
        instance = torch.Generator().manual_seed(self.instance_seed)
        shape = (self.n_agents, self.n_actions, self.context_dim)
        self.parameters = in_ball(shape, self.parameter_radius, instance)
        self._given = None if self.contexts is None else self._checked(self.contexts)
        self.spec = EnvSpec(
            n_agents=self.n_agents,
            n_actions=self.n_actions,
            obs_dim=self.context_dim,
            state_dim=self.context_dim,
            horizon=self.horizon,
            graph=torch.zeros((self.n_agents, self.n_agents), dtype=torch.bool),
            local_rewards=True,
        )

    @property
    def parameter_radius(self) -> float:
        """S_θ."""
        return 1 / self.n_agents

    def _checked(self, contexts: Sequence[Any] | Tensor) -> Float[Tensor, "T D"]:
        """UserError unless there is a context within the sphere for each round."""
        valid = f"env.horizon={self.horizon} rows of env.context_dim={self.context_dim} numbers each"
        following = "  next: correct the rows, or set env.contexts=null for random ones"
        try:
            rows = torch.as_tensor(contexts, dtype=self.parameters.dtype)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # ragged, or not numbers
            raise UserError(f"contexts is not a table of numbers: {error}.\n  valid: {valid}\n{following}") from error
        if rows.shape != (self.horizon, self.context_dim):
            raise UserError(f"contexts has the shape {tuple(rows.shape)}.\n  valid: {valid}\n{following}")
        longest = rows.norm(dim=1).max().item()
        if not longest <= self.context_radius * (1 + 1e-6):
            raise UserError(
                f"contexts has a row of norm {longest:.6g}.\n"
                f"  valid: norms of at most env.context_radius={self.context_radius}\n{following}"
            )
        return rows

    def _contexts(self, elapsed: Int[Tensor, " B"], generator: torch.Generator) -> Float[Tensor, "B D"]:
        """The context after `elapsed` rounds; the last given one is repeated."""
        if self._given is None:
            return on_sphere((len(elapsed), self.context_dim), self.context_radius, generator)
        self._given = self._given.to(elapsed.device)  # copied once, when the world moves to another device
        return self._given[elapsed.clamp(max=self.horizon - 1)]

    def draws(self, generator: torch.Generator) -> tuple[Float[Tensor, "T D"], Float[Tensor, "T N"]]:
        """Contexts and noise of all T = `horizon` rounds of one copy: all randomness of a seed."""
        contexts = self._contexts(torch.arange(self.horizon, device=generator.device), generator)
        noises = torch.randn((self.horizon, self.n_agents), generator=generator, device=generator.device)
        return contexts, self.noise * noises

    def reset(self, n: int, generator: torch.Generator) -> BanditState:
        elapsed = torch.zeros(n, dtype=torch.long, device=generator.device)
        return BanditState(self._contexts(elapsed, generator), elapsed)

    def observe(self, state: BanditState) -> Observation:
        context, shape = state.context, (len(state.elapsed), self.n_agents, self.n_actions)
        return Observation(
            obs=context.unsqueeze(1).expand(-1, self.n_agents, -1),
            state=context,
            avail_actions=torch.ones(shape, dtype=torch.bool, device=context.device),
        )

    def step(
        self, state: BanditState, actions: Int[Tensor, "B N"], generator: torch.Generator
    ) -> tuple[BanditState, Timestep]:
        self.parameters = self.parameters.to(actions.device)  # copied once, as the contexts are
        means = expected_rewards(state.context, self.parameters).gather(2, actions.unsqueeze(2)).squeeze(2)
        noise = torch.randn(means.shape, generator=generator, device=means.device)
        elapsed = state.elapsed + 1
        terminated = elapsed >= self.horizon
        after = BanditState(self._contexts(elapsed, generator), elapsed)
        return after, Timestep(means + self.noise * noise, terminated, torch.zeros_like(terminated))

    def scene(self, state: BanditState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        """A bar per agent and action for its expected reward, scaled by S_x · S_θ; actions taken are orange."""
        parameters = self.parameters.to(state.context.device)
        highest = self.context_radius * self.parameter_radius
        heights = (expected_rewards(state.context[copy], parameters) / highest).tolist()
        taken = [None] * self.n_agents if actions is None else actions.tolist()
        width = 0.25
        group = width * (self.n_actions + 1)
        shapes: list[Shape] = []
        for agent, (bars, chosen) in enumerate(zip(heights, taken, strict=True)):
            left = group * agent + width / 2
            for action, height in enumerate(bars):
                corner = (left + width * action, min(0.0, height))
                shapes.append(Box(corner, 0.8 * width, abs(height), "tab:orange" if action == chosen else "lightgrey"))
            shapes.append(Label((left + (group - width) / 2, -1.15), f"agent {agent}"))
        span = group * self.n_agents
        shapes.append(Line([(0.0, 0.0), (span, 0.0)], "black", 0.75))
        return Scene((0.0, span), (-1.3, 1.1), shapes)
