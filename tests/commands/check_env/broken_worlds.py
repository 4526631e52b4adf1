"""Worlds that each break one promise, in a place that is known."""

# ruff: noqa: ARG002 they have the signatures of all worlds

import random
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.envs.payoff import PayoffGame
from marlpipe.types import EnvSpec, Observation, Timestep

AT = 2  # the env step, counted from 1, that is not as it should be


class CounterState(NamedTuple):
    elapsed: Tensor
    total: Tensor  # B N: of the actions so far
    copy: Tensor  # the number that each has at the reset


class Counter:
    """A deterministic world: each agent is paid its action, and all see what they were paid so far."""

    def __init__(self, *, n_agents: int = 6, n_actions: int = 3, horizon: int = 4) -> None:
        self.spec = EnvSpec(
            n_agents=n_agents,
            n_actions=n_actions,
            obs_dim=2,
            state_dim=n_agents,
            horizon=horizon,
            graph=graphs.line(n_agents),
            local_rewards=True,
        )

    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        return CounterState(torch.zeros(n).long(), torch.zeros(n, self.spec.n_agents), torch.arange(n))

    def observe(self, state: CounterState) -> Observation:
        n, spec = len(state.elapsed), self.spec
        time = state.elapsed.view(n, 1).expand(n, spec.n_agents).float()
        avail_actions = torch.ones(n, spec.n_agents, spec.n_actions, dtype=torch.bool)
        return Observation(torch.stack([state.total, time], 2), state.total.clone(), avail_actions)

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after = CounterState(state.elapsed + 1, state.total + actions, state.copy)
        late = after.elapsed >= self.spec.horizon
        return after, Timestep(actions.float(), torch.zeros_like(late), late)


class WithoutSpec(Counter):
    def __init__(self) -> None:
        pass


class NoAgents(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, n_agents=0, horizon=0)


class GraphOfOthers(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, graph=graphs.line(5))


class OneWayGraph(Counter):
    def __init__(self) -> None:
        super().__init__()
        graph = graphs.line(6)
        graph[0, 1] = False
        self.spec = replace(self.spec, graph=graph)


class LoopedGraph(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, graph=graphs.line(6) | torch.diag(torch.arange(6) == 3))


class StateElsewhere(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, state_in_obs=torch.arange(7, 13))
        object.__setattr__(self.spec, "kept_as", "uint8")


class StateOfOthers(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, state_in_obs=torch.arange(5))


class KeptSmall(Counter):
    """Its state is what the agents see of themselves, in whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, state_in_obs=2 * torch.arange(6), kept_as=torch.uint8)


class AnotherState(KeptSmall):
    def observe(self, state: CounterState) -> Observation:
        seen = super().observe(state)
        seen.state[:, 4] += (state.copy == 1) & (state.elapsed == AT)
        return seen


class Halves(KeptSmall):
    def observe(self, state: CounterState) -> Observation:
        seen = super().observe(state)
        seen.obs[:, 4, 1] += 0.5 * ((state.copy == 1) & (state.elapsed == AT))
        return seen


class FailingReset(Counter):
    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        raise RuntimeError("no world today\nnor tomorrow")


class FailingObserve(Counter):
    def observe(self, state: CounterState) -> Observation:
        if state.elapsed[0] == AT:
            raise KeyError("seen")
        return super().observe(state)


class FailingStep(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        if state.elapsed[0] == AT - 1:
            raise IndexError("out of reach")
        return super().step(state, actions, generator)


class StepWithoutState(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> Any:
        return super().step(state, actions, generator)[1]


class Seen(Counter):
    """A world of which a field is seen in another way, from a moment on."""

    def observe(self, state: CounterState) -> Observation:
        seen = super().observe(state)
        return self.changed(seen, state.copy == 1) if state.elapsed[0] >= AT else seen

    def changed(self, seen: Observation, second: Tensor) -> Observation:
        raise NotImplementedError


class DoubleObservations(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        return seen._replace(obs=seen.obs.double())


class FlatState(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        return seen._replace(state=seen.state.flatten())


class FloatMask(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        return seen._replace(avail_actions=seen.avail_actions.float())


class ListMask(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        return seen._replace(avail_actions=seen.avail_actions.tolist())


class OtherDevice(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        return seen._replace(obs=seen.obs.to("meta"))


class NothingToDo(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        seen.avail_actions[second, 4] = False
        return seen


class InfiniteObservation(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        seen.obs[second, 4, 0] = torch.inf
        return seen


class UnknownState(Seen):
    def changed(self, seen: Observation, second: Tensor) -> Observation:
        seen.state[second, 4] = torch.nan
        return seen


class Paid(Counter):
    """A world in which an env step brings something else."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, self.changed(timestep, state.copy == 1) if state.elapsed[0] == AT - 1 else timestep

    def changed(self, timestep: Timestep, second: Tensor) -> Timestep:
        raise NotImplementedError


class TeamReward(Paid):
    def changed(self, timestep: Timestep, second: Tensor) -> Timestep:
        return timestep._replace(rewards=timestep.rewards.sum(1))


class NumberTerminated(Paid):
    def changed(self, timestep: Timestep, second: Tensor) -> Timestep:
        return timestep._replace(terminated=timestep.terminated.long())


class UnknownReward(Paid):
    def changed(self, timestep: Timestep, second: Tensor) -> Timestep:
        timestep.rewards[second, 4] = torch.nan
        return timestep


class BothEnds(Paid):
    def changed(self, timestep: Timestep, second: Tensor) -> Timestep:
        return timestep._replace(terminated=second, truncated=second)


class EndsTooLate(Counter):
    """It ends one env step after its horizon."""

    def __init__(self) -> None:
        super().__init__(horizon=5)
        self.last, self.spec = 5, replace(self.spec, horizon=4)

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(truncated=after.elapsed >= self.last)


class AlwaysEight(Counter):
    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        return super().reset(8, generator)


class CommonTime(Counter):
    """The time is one number for all copies."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after._replace(elapsed=after.elapsed[0]), timestep


class PlainTuples(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> Any:
        after, timestep = super().step(state, actions, generator)
        return tuple(after), timestep


class StepInPlace(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        state.total.add_(1)
        return super().step(state, actions, generator)


class ObserveInPlace(Counter):
    def observe(self, state: CounterState) -> Observation:
        state.total.sub_(1)
        return super().observe(state)


class ActionsInPlace(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        return super().step(state, actions.neg_(), generator)


class NoMaskAtTheLimit(Counter):
    """Where the time limit cuts an episode, nothing can be done: yet that moment's value is needed."""

    def observe(self, state: CounterState) -> Observation:
        seen = super().observe(state)
        seen.avail_actions[state.elapsed == self.spec.horizon] = False
        return seen


class NoMaskAtTheEnd(NoMaskAtTheLimit):
    """Nothing can be done in a terminal state, which is no harm."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, (rewards, terminated, truncated) = super().step(state, actions, generator)
        return after, Timestep(rewards, truncated, terminated)


class NotBeyond(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        if state.elapsed[0] == self.spec.horizon:
            raise ValueError("it is over")
        return super().step(state, actions, generator)


class CountedLooks(Counter):
    looks = 0

    def observe(self, state: CounterState) -> Observation:
        self.looks += 1
        seen = super().observe(state)
        seen.obs[state.copy == 1, 4, 0] += self.looks
        return seen


class OneBuffer(Counter):
    """Rewards are always written into the same tensor."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        if state.elapsed[0] == 0:
            self.buffer = torch.empty_like(timestep.rewards)
        return after, timestep._replace(rewards=self.buffer.copy_(state.elapsed.unsqueeze(1)))


class Lottery(Counter):
    """A random reward, from whatever generator."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(rewards=timestep.rewards + self.noise(state, generator))

    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


class GlobalLottery(Lottery):
    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        return torch.rand(len(state.elapsed), 1)


class ForkedLottery(Lottery):
    """It leaves the global generator as it was, and yet depends on it."""

    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        with torch.random.fork_rng():
            return torch.rand(len(state.elapsed), 1)


class LotteryOfItsOwn(Lottery):
    own = torch.Generator().manual_seed(0)

    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        return torch.rand(len(state.elapsed), 1, generator=self.own)


class LotteryOfTheRunning(Lottery):
    """Ended copies draw nothing, so what the others draw depends on how many have ended."""

    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        running = state.elapsed < self.spec.horizon
        noise = torch.zeros(len(running), 1)
        noise[running] = torch.rand(int(running.sum()), 1, generator=generator)
        return noise


class SeedsAll(Counter):
    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        torch.manual_seed(0)
        return super().reset(n, generator)


class DrawsFromNumpy(Counter):
    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        numpy.random.rand()
        return super().step(state, actions, generator)


class DrawsFromPython(Counter):
    def observe(self, state: CounterState) -> Observation:
        random.random()
        return super().observe(state)


class HiddenClock(Counter):
    """What is paid depends on the env steps since the last reset, which the state does not tell."""

    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        self.clock = 0
        return super().reset(n, generator)

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        self.clock += 1
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(rewards=timestep.rewards + self.clock)


class ForbiddenUnison(Counter):
    """Action 2 cannot be taken by all at once."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        if (actions == 2).all() and state.elapsed[0] == AT - 1:
            raise LookupError("all at once")
        return super().step(state, actions, generator)


class MeanReward(Counter):
    """All copies are paid alike."""

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(rewards=timestep.rewards.mean(0, keepdim=True).expand_as(timestep.rewards))


class FixedNumber(Lottery):
    """Copies end one by one, and noise is drawn for as many as there were at the reset."""

    def reset(self, n: int, generator: torch.Generator) -> CounterState:
        self.copies = n
        return super().reset(n, generator)

    def step(self, state: CounterState, actions: Tensor, generator: torch.Generator) -> tuple[CounterState, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(terminated=(state.copy == state.elapsed) & ~timestep.truncated)

    def noise(self, state: CounterState, generator: torch.Generator) -> Tensor:
        return torch.rand(self.copies, 1, generator=generator)


@dataclass
class Token:
    """A state that only its world can read."""

    held: Any


class Simulator:
    """A world behind tokens, which only goes forward."""

    def __init__(self, world: Any) -> None:
        self.world, self.spec = world, world.spec

    def reset(self, n: int, generator: torch.Generator) -> Token:
        self.latest = Token(self.world.reset(n, generator))
        return self.latest

    def observe(self, state: Token) -> Observation:
        seen: Observation = self.world.observe(state.held)
        return seen

    def step(self, state: Token, actions: Tensor, generator: torch.Generator) -> tuple[Token, Timestep]:
        assert state is self.latest, "this world cannot go back"
        after, timestep = self.world.step(state.held, actions, generator)
        self.latest = Token(after)
        return self.latest, timestep


class BrokenGame(PayoffGame):
    """A game with rewards that nobody can learn from, for the command line."""

    def step(self, state: Any, actions: Tensor, generator: torch.Generator) -> tuple[Any, Timestep]:
        after, timestep = super().step(state, actions, generator)
        return after, timestep._replace(rewards=timestep.rewards + torch.inf)
