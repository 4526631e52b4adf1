"""Whether a spec can be that of a world."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from marlpipe.bound import Bound
from marlpipe.conformance.failure import Failure, described
from marlpipe.types import EnvSpec

SIZE = Bound(1)


def sound_spec(spec: Any) -> Iterator[Failure]:
    """Positive sizes, and a graph on the agents that is symmetric and has no self-loops."""
    if not isinstance(spec, EnvSpec):
        yield Failure("spec", "an EnvSpec", type(spec).__name__)
        return
    for name in ("n_agents", "n_actions", "obs_dim", "state_dim", "horizon"):
        if not SIZE.holds(size := getattr(spec, name)):
            yield Failure(f"spec.{name}", str(SIZE), repr(size))
    if SIZE.holds(spec.n_agents):
        yield from sound_graph(spec.graph, spec.n_agents)


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
