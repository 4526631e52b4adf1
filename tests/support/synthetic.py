"""Made-up worlds and episodes: every length, every kind of end, and padding that must not matter."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from marlpipe.envs import graphs
from marlpipe.types import EnvSpec, EpisodeBatch, Observation, Timestep


def make_spec(
    *,
    n_agents: int = 3,
    n_actions: int = 4,
    obs_dim: int = 5,
    state_dim: int = 6,
    horizon: int = 7,
    graph: Tensor | None = None,
    local_rewards: bool = True,
) -> EnvSpec:
    return EnvSpec(
        n_agents=n_agents,
        n_actions=n_actions,
        obs_dim=obs_dim,
        state_dim=state_dim,
        horizon=horizon,
        graph=graphs.line(n_agents) if graph is None else graph,
        local_rewards=local_rewards,
    )


def ragged_batch(
    spec: EnvSpec,
    *,
    lengths: Sequence[int],
    terminal: Sequence[bool],
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> EpisodeBatch:
    """Random episodes with zeros as padding. Those that are not `terminal` were truncated."""
    draw = torch.Generator().manual_seed(seed)
    n, steps = len(lengths), max(lengths)
    length = torch.tensor(lengths).unsqueeze(1)
    valid = torch.arange(steps) < length
    filled = torch.arange(steps + 1) <= length
    avail = torch.rand(n, steps + 1, spec.n_agents, spec.n_actions, generator=draw) < 0.6
    actions = torch.randint(spec.n_actions, (n, steps, spec.n_agents), generator=draw)
    avail[:, :-1].scatter_(-1, actions.unsqueeze(-1), True)
    avail[..., 0] |= ~avail.any(-1)
    batch = EpisodeBatch(
        obs=torch.randn(n, steps + 1, spec.n_agents, spec.obs_dim, generator=draw, dtype=dtype),
        state=torch.randn(n, steps + 1, spec.state_dim, generator=draw, dtype=dtype),
        avail_actions=avail,
        actions=actions,
        rewards=torch.randn(n, steps, spec.n_agents, generator=draw, dtype=dtype),
        terminated=(torch.arange(steps) == length - 1) & torch.tensor(terminal).unsqueeze(1),
        valid=valid,
    )
    return with_padding(batch, filled, 0.0, avail=False, action=0, terminated=False)


def with_padding(
    batch: EpisodeBatch, filled: Tensor, number: float, *, avail: bool, action: int, terminated: bool
) -> EpisodeBatch:
    """The same episodes with something else where they have ended."""

    def padded(field: Tensor, exists: Tensor, filling: float | bool | int) -> Tensor:
        field = field.clone()
        field[~exists] = filling
        return field

    return batch._replace(
        obs=padded(batch.obs, filled, number),
        state=padded(batch.state, filled, number),
        avail_actions=padded(batch.avail_actions, filled, avail),
        actions=padded(batch.actions, batch.valid, action),
        rewards=padded(batch.rewards, batch.valid, number),
        terminated=padded(batch.terminated, batch.valid, terminated),
    )


def episode(batch: EpisodeBatch, index: int) -> EpisodeBatch:
    """One episode without its padding."""
    length = int(batch.lengths[index])
    moments = (field[index : index + 1, : length + 1] for field in batch[:3])
    transitions = (field[index : index + 1, :length] for field in batch[3:])
    return EpisodeBatch(*moments, *transitions)


def scramble(module: nn.Module, seed: int = 0, scale: float = 0.3) -> None:
    """Move every parameter, so that targets differ from what they are copies of, and no bias is zero."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype))


class RaggedState(NamedTuple):
    elapsed: Tensor
    length: Tensor
    cut: Tensor  # the episode is truncated rather than terminated
    tag: Tensor  # a number of its own for each episode


class RaggedWorld:
    """Episodes of random lengths, half of them truncated; once over, a copy returns nonsense.

    Observations show the episode's tag and the time; the action that is `elapsed` modulo A cannot be taken.
    """

    def __init__(self, *, horizon: int = 6, n_agents: int = 2, n_actions: int = 3, shortest: int = 1) -> None:
        self.spec = make_spec(n_agents=n_agents, n_actions=n_actions, obs_dim=2, state_dim=2, horizon=horizon)
        self.shortest = shortest

    def reset(self, n: int, generator: torch.Generator) -> RaggedState:
        length = torch.randint(self.shortest, self.spec.horizon + 1, (n,), generator=generator)
        cut = torch.rand(n, generator=generator) < 0.5
        return RaggedState(torch.zeros_like(length), length, cut, torch.rand(n, generator=generator))

    def observe(self, state: RaggedState) -> Observation:
        seen = torch.stack([state.tag, state.elapsed.float()], dim=-1)
        actions = torch.arange(self.spec.n_actions)
        avail = actions != (state.elapsed % self.spec.n_actions).unsqueeze(-1)
        n = self.spec.n_agents
        return Observation(
            seen.unsqueeze(1).expand(-1, n, -1).clone(), seen, avail.unsqueeze(1).expand(-1, n, -1).clone()
        )

    def step(self, state: RaggedState, actions: Tensor, generator: torch.Generator) -> tuple[RaggedState, Timestep]:
        noise = torch.rand(actions.shape, generator=generator)
        rewards = actions + noise
        rewards[state.elapsed >= state.length] = torch.nan
        over = state.elapsed + 1 >= state.length
        return state._replace(elapsed=state.elapsed + 1), Timestep(rewards, over & ~state.cut, over & state.cut)
