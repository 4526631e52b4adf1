"""The vocabulary: types that environments, agents, mixers and algorithms exchange.

Letters in all shapes: B episodes, T transitions, N agents, A actions, J blocks of the partition, O observation,
S state, H hidden units. Environments are batched from birth: their tensors lead with B copies.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class EnvSpec:
    """All that networks and partitions know of a world."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    horizon: int  # the longest episode, in env steps
    graph: Bool[Tensor, "N N"]  # adjacency of coupled agents: symmetric, no self-loops
    local_rewards: bool  # False: only the sum over agents of `rewards` carries meaning
    state_in_obs: Int[Tensor, " S"] | None = None  # where in the joint observation (N·O) the state is, if all of it is
    kept_as: torch.dtype = torch.float32  # what a replay may keep observations and states as, without loss


class Observation(NamedTuple):
    """One time step of a batch of environments, as agents and mixers see it."""

    obs: Float[Tensor, "B N O"]
    state: Float[Tensor, "B S"]
    avail_actions: Bool[Tensor, "B N A"]


class Timestep(NamedTuple):
    """What one step of a world brings. `terminated` cuts the bootstrap, `truncated` (a time limit) does not."""

    rewards: Float[Tensor, "B N"]
    terminated: Bool[Tensor, " B"]
    truncated: Bool[Tensor, " B"]


EnvState = TypeVar("EnvState")


@runtime_checkable
class Env(Protocol[EnvState]):
    """A batched world whose state is a value: a NamedTuple of tensors with a leading dimension of copies.

    A copy that has ended may be stepped on: what it returns then is never read.
    """

    spec: EnvSpec

    def reset(self, n: int, generator: torch.Generator) -> EnvState: ...

    def observe(self, state: EnvState) -> Observation: ...

    def step(
        self, state: EnvState, actions: Int[Tensor, "B N"], generator: torch.Generator
    ) -> tuple[EnvState, Timestep]: ...


@runtime_checkable
class TableGame(Protocol):
    """A world whose team reward is read off a table, so that what is learned of it can be held against the truth."""

    team_table: Tensor  # A × … × A: the team's payoff for each joint action


class EpisodeBatch(NamedTuple):
    """Whole episodes, padded to a common length. Steps at or past an episode's end have `valid` False."""

    obs: Float[Tensor, "B T1 N O"]  # T1 = T+1: the last one is only bootstrapped from
    state: Float[Tensor, "B T1 S"]
    avail_actions: Bool[Tensor, "B T1 N A"]
    actions: Int[Tensor, "B T N"]
    rewards: Float[Tensor, "B T N"]  # the team reward is their sum
    terminated: Bool[Tensor, "B T"]
    valid: Bool[Tensor, "B T"]

    def map(self, change: Callable[[Tensor], Tensor]) -> "EpisodeBatch":
        return EpisodeBatch(*(change(field) for field in self))

    def first(self, n: int) -> "EpisodeBatch":
        """At most `n` episodes, padded no longer than they need."""
        steps = int(self.lengths[:n].max())
        observed = (field[:n, : steps + 1] for field in self[:3])
        transitions = (field[:n, :steps] for field in self[3:])
        return EpisodeBatch(*observed, *transitions)

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Executed transitions of each episode."""
        return self.valid.sum(1)

    @property
    def filled(self) -> Bool[Tensor, "B T1"]:
        """The time steps that exist: one more than the transitions."""
        return torch.cat([torch.ones_like(self.valid[:, :1]), self.valid], dim=1)

    @property
    def last_actions(self) -> Int[Tensor, "B T1 N"]:
        """Each agent's previous action at every time step; at the first A, the number of actions, for "none yet"."""
        none_yet = torch.full_like(self.actions[:, :1], self.avail_actions.shape[-1])
        return torch.cat([none_yet, self.actions], dim=1)

    @property
    def team_rewards(self) -> Float[Tensor, "B T"]:
        return self.rewards.sum(-1)


class RunProgress(NamedTuple):
    """How far a run is, counted by the loader, and what its last rollout brought."""

    env_steps: int
    episodes: int
    epsilon: float
    train_return: float
    train_length: float
    updates_left: int  # gradient steps before the next rollout
    finished: bool  # after this gradient step the run is over


class TrainingBatch(NamedTuple):
    """What one gradient step learns from."""

    episodes: EpisodeBatch
    progress: RunProgress


Metrics = dict[str, Tensor]
StateDict = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointValueView:
    """Read-only view of the learned factorisation for diagnostics: utilities, joint action values, ∂F/∂U. No gradients.

    utilities: of all actions; their maximum, agent by agent, is the decentralised policy.
    joint_value: the value of any joint actions at each transition, which the greedy joint action should maximise
        (IGM). Zero where not valid.
    slopes: ∂F_J/∂U_i at the taken actions. reads: which agents block J depends on.
    block_gradients: the norm of each block's loss gradient with respect to the utilities, over the whole batch.
    optimal_value: the unrestricted Q* of joint actions, where the algorithm learns one.
    """

    utilities: Float[Tensor, "B T N A"]
    joint_value: Callable[[Int[Tensor, "B T N"]], Float[Tensor, "B T"]]
    slopes: Callable[[], Float[Tensor, "B T J N"]]
    reads: Bool[Tensor, "J N"]
    block_gradients: Callable[[], Float[Tensor, " J"]]
    optimal_value: Callable[[Int[Tensor, "B T N"]], Float[Tensor, "B T"]] | None = None


Part_co = TypeVar("Part_co", covariant=True)


@runtime_checkable
class Makes(Protocol[Part_co]):
    """Makes a network for an environment: what a partial of a config is."""

    def __call__(self, *, spec: EnvSpec) -> Part_co: ...


OptimizerOf = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Trained(NamedTuple):
    """Parameters that one optimiser owns. `optimizer` and `gradient_clip` (a norm): None stands for the profile's."""

    parameters: list[nn.Parameter]
    optimizer: OptimizerOf | None = None
    gradient_clip: float | None = None


class Update(NamedTuple):
    """One gradient step: `of` names the `Trained` parameters that `loss` moves."""

    of: str
    loss: Float[Tensor, ""]
    metrics: Metrics
