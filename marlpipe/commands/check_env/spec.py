"""Whether a spec can be that of a world."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from marlpipe.commands.check_env.promise import Failure
from marlpipe.envs.answers import described
from marlpipe.errors import Bound
from marlpipe.types import EnvSpec

SIZE = Bound(1)


def sound_spec(spec: Any) -> Iterator[Failure]:
    """Positive sizes, a graph on the agents that is symmetric and has no self-loops, and what a replay can keep."""
    if not isinstance(spec, EnvSpec):
        yield Failure("spec", "an EnvSpec", type(spec).__name__)
        return
    sizes = {name: getattr(spec, name) for name in ("n_agents", "n_actions", "obs_dim", "state_dim", "horizon")}
    for name, size in sizes.items():
        if not SIZE.holds(size):
            yield Failure(f"spec.{name}", str(SIZE), repr(size))
    if SIZE.holds(spec.n_agents):
        yield from sound_graph(spec.graph, spec.n_agents)
    if all(map(SIZE.holds, sizes.values())) and spec.state_in_obs is not None:
        yield from sound_places(spec.state_in_obs, spec.state_dim, spec.n_agents * spec.obs_dim)
    kept_as: Any = spec.kept_as
    if not isinstance(kept_as, torch.dtype):
        yield Failure("spec.kept_as", "a dtype of torch", type(kept_as).__name__)


def sound_graph(graph: Any, n_agents: int) -> Iterator[Failure]:
    """A symmetric adjacency matrix of all agents without self-loops."""
    shape = (n_agents, n_agents)
    if not (isinstance(graph, Tensor) and graph.dtype == torch.bool and graph.shape == shape):
        yield Failure("spec.graph", f"a bool tensor of shape {shape}", described(graph))
        return
    for agent, other in (graph & ~graph.T).nonzero()[:1].tolist():
        yield Failure("spec.graph", "a symmetric matrix", f"an edge from {agent} to {other} and none back")
    for (agent,) in graph.diagonal().nonzero()[:1].tolist():
        yield Failure("spec.graph", "no self-loops", f"an edge from {agent} to itself")


def sound_places(places: Any, state_dim: int, observed: int) -> Iterator[Failure]:
    """A place among the numbers that are observed for each number of the state."""
    if not (isinstance(places, Tensor) and places.dtype == torch.int64 and places.shape == (state_dim,)):
        yield Failure("spec.state_in_obs", f"an int64 tensor of shape {(state_dim,)}", described(places))
        return
    for place in places[(places < 0) | (places >= observed)][:1].tolist():
        yield Failure("spec.state_in_obs", f"places from 0 to {observed - 1}", str(place))
