"""LOMAQ's sub-mixers, batched over blocks, relative to a plain loop over one small network per block."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measurement import Measurement, Section, Work, timed
from benchmarks.tasks import on_carts
from marlpipe.config.build import build_env, build_part
from marlpipe.models.graphs import neighbourhoods

AGENTS = (15, 100, 1000)
VALUES = 150_000  # of all blocks and time steps together, as 50 episodes of 200 env steps of 15 agents have
HOPS, HIDDEN = 1, 32  # of conf/mixer/lomaq.yaml


def section() -> Section:
    """Forward and backward."""
    measurements = {}
    for agents in AGENTS:
        loop = f"loop over sub-mixers, {agents} agents"
        ours = timed(partial(batched, agents))
        measurements[f"MonotoneMixer, {agents} agents"] = Measurement(ours, {"loop": loop}, amount=VALUES)
        measurements[loop] = Measurement(timed(partial(looped, agents)), amount=VALUES)
    return Section("LOMAQ's mixer, forward and backward", measurements, rounds=5, counted="values")


def batched(agents: int) -> Work:
    """marlpipe's own mixer."""
    config = on_carts("lomaq", agents=agents)
    spec = build_env(config).spec
    partition = build_part(config, "partition", spec=spec)
    monotonicity = build_part(config, "monotonicity", spec=spec, partition=partition)
    mixer = build_part(config, "mixer", spec=spec, partition=partition, monotonicity=monotonicity)
    utilities = torch.randn(1, VALUES // agents, agents).requires_grad_()
    state = torch.empty(1, VALUES // agents, spec.state_dim)  # not read by this mixer
    return lambda: torch.autograd.backward(mixer(utilities, state).sum())


def looped(agents: int) -> Work:
    """A ModuleList of private networks, one called after the other."""
    read = neighbourhoods(build_env(on_carts("lomaq", agents=agents)).spec.graph, HOPS) > 0
    places = [row.nonzero().flatten() for row in read]
    mixers = nn.ModuleList(SubMixer(len(of_block)) for of_block in places)
    utilities = torch.randn(VALUES // agents, agents).requires_grad_()

    def step() -> None:
        values = [mixer(utilities[:, of_block]) for mixer, of_block in zip(mixers, places, strict=True)]
        torch.autograd.backward(torch.cat(values, dim=1).sum())

    return step


class SubMixer(nn.Module):
    """Three layers whose weights a ReLU makes non-negative."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(F.linear(x, self.first.weight.relu(), self.first.bias))
        x = F.elu(F.linear(x, self.second.weight.relu(), self.second.bias))
        return F.linear(x, self.last.weight.relu(), self.last.bias)
