"""Whether a spec can be that of a world."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from marlpipe.conformance.failure import Failure, described, layout
from marlpipe.types import EnvSpec


def sound_spec(spec: Any) -> Iterator[Failure]:
    """Positive sizes, and a graph on the agents that is symmetric and has no self-loops."""
    if not isinstance(spec, EnvSpec):
        yield Failure("spec", "an EnvSpec", f"{type(spec).__name__}")
        return
    for name in ("n_agents", "n_actions", "obs_dim", "state_dim", "horizon"):
        size = getattr(spec, name)
        if not (isinstance(size, int) and not isinstance(size, bool) and size >= 1):
            yield Failure(f"spec.{name}", "a whole number of at least 1", repr(size))
    if not isinstance(spec.local_rewards, bool):
        yield Failure("spec.local_rewards", "True or False", repr(spec.local_rewards))
    graph, n = spec.graph, spec.n_agents
    if not (isinstance(graph, Tensor) and graph.dtype == torch.bool and graph.shape == (n, n)):
        device = graph.device if isinstance(graph, Tensor) else torch.device("cpu")
        yield Failure("spec.graph", f"{layout(torch.bool, (n, n), device)}, one row per agent", described(graph))
        return
    for agent, other in (graph & ~graph.T).nonzero()[:1].tolist():
        yield Failure("spec.graph", "a symmetric matrix", f"an edge from {agent} to {other} and none back")
    for (agent,) in graph.diagonal().nonzero()[:1].tolist():
        yield Failure("spec.graph", "no self-loops", f"an edge from {agent} to itself")
