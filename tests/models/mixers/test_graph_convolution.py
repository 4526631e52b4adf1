"""LOMAQ's graph convolution: against plain loops over agents, and local and monotone whatever it has learned."""

import math
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.errors import UserError
from marlpipe.models.graphs import normalised_adjacency
from marlpipe.models.monotonicity.jacobian import jacobian
from tests.support import reference
from tests.support.composition import build
from tests.support.pairwise import pairwise
from tests.support.synthetic import make_spec, scramble

# 0 – 1 – 2 – 3 – 4 – 5, a branch 1 – 6, and 7 alone
EDGES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 6)]
GRAPH = torch.zeros(8, 8, dtype=torch.bool)
for _i, _j in EDGES:
    GRAPH[_i, _j] = GRAPH[_j, _i] = True
SPEC = make_spec(n_agents=8, graph=GRAPH)
PARTITIONS = {
    "singletons": [[i] for i in range(8)],
    "blocks": [[0, 1, 2], [3, 4, 5], [6, 7]],
    "full": [list(range(8))],
}
CONSTRAINTS = {"hard": torch.relu, "abs": torch.abs, "softplus": F.softplus}


def mixer_of(*overrides: str, spec: Any = SPEC, noise: float = 0.3) -> Any:
    mixer = build("algo=lomaq", "mixer=lomaq_gcn", *overrides, spec=spec).mixer
    scramble(mixer, scale=noise)
    return mixer


def choice(partition: str) -> list[str]:
    return ["partition=blocks", "partition.size=3"] if partition == "blocks" else [f"partition={partition}"]


def inputs(shape: tuple[int, int] = (2, 3), seed: int = 1, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    utilities = scale * torch.randn(*shape, 8, generator=draw, dtype=torch.float64)
    return utilities, torch.randn(*shape, SPEC.state_dim, generator=draw, dtype=torch.float64)


def plain(mixer: Any, blocks: list[list[int]], utilities: Tensor, state: Tensor, constrain: Any, act: Any) -> Tensor:
    """One moment's values: messages along edges and to oneself, then QMIX's network of each block's features."""
    neighbours = [[i, *(j for j in range(8) if GRAPH[i, j])] for i in range(8)]
    features = [utilities[i : i + 1] for i in range(8)]
    for theta, bias in zip(mixer.theta, mixer.bias, strict=True):
        heard = [
            sum(features[j] / math.sqrt(len(neighbours[i]) * len(neighbours[j])) for j in neighbours[i])
            for i in range(8)
        ]
        features = [act(message @ constrain(theta) + bias) for message in heard]
    values = []
    for block, agents in enumerate(blocks):
        own = sum(features[i] for i in agents)
        values.append(reference.qmix(mixer.heads, block, own, state, constrain))
    return torch.stack(values)


@pytest.mark.parametrize(("hops", "partition", "constraint"), pairwise(list(product("012", PARTITIONS, CONSTRAINTS))))
def test_values_equal_plain_loops(hops: str, partition: str, constraint: str) -> None:
    mixer = mixer_of(f"mixer.hops={hops}", f"monotonicity={constraint}", *choice(partition))
    utilities, state = inputs()
    values = mixer(utilities, state)
    for b in range(2):
        for t in range(3):
            expected = plain(mixer, PARTITIONS[partition], utilities[b, t], state[b, t], CONSTRAINTS[constraint], F.elu)
            torch.testing.assert_close(values[b, t], expected, atol=1e-5, rtol=1e-5)  # Ã is rounded to 32 bits


def test_the_activation_is_a_choice() -> None:
    mixer = mixer_of("mixer.activation.path=torch.relu", "mixer.hops=2")
    utilities, state = inputs()
    expected = plain(mixer, PARTITIONS["singletons"], utilities[0, 0], state[0, 0], torch.relu, F.relu)
    torch.testing.assert_close(mixer(utilities, state)[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_sizes_are_the_public_codes_and_weights_are_shared_by_agents() -> None:
    mixer = build("algo=lomaq", "mixer=lomaq_gcn", "mixer.hops=3", spec=SPEC).mixer
    shapes = {name: tuple(parameter.shape) for name, parameter in mixer.named_parameters()}
    layers = {f"theta.{layer}": (1 if layer == 0 else 8, 8) for layer in range(3)}
    assert {name: shape for name, shape in shapes.items() if name.startswith("theta")} == layers
    assert {name: shape for name, shape in shapes.items() if name.startswith("bias")} == {
        f"bias.{layer}": (8,) for layer in range(3)
    }
    assert shapes["heads.w1.hidden.weight"] == (8 * 16, 6)  # a head per block
    assert shapes["heads.w1.output.weight"] == (8, 16, 8 * 32)  # from an agent's 8 features to 32 units
    assert shapes["heads.w2.output.weight"] == (8, 16, 32)
    assert all((bias == 0).all() for bias in mixer.bias)


def test_layers_start_from_what_the_method_says() -> None:
    """N(0, 1) where weights are rectified, U(±1/√fan_in) where they are free."""
    wide = ["mixer.hops=2", "mixer.width=100"]
    hard, free = (
        build("algo=lomaq", "mixer=lomaq_gcn", *wide, f"monotonicity={method}", spec=SPEC).mixer.theta[1].detach()
        for method in ("hard", "soft")
    )
    assert float(hard.std()) == pytest.approx(1.0, abs=0.03)
    assert 0.09 < float(free.abs().max()) <= 0.1


@pytest.mark.parametrize(
    ("hops", "partition", "constraint"), pairwise(list(product("0123", PARTITIONS, ["hard", "abs"])))
)
def test_local_and_monotone_whatever_it_has_learned(hops: str, partition: str, constraint: str) -> None:
    """∂F_J/∂U_k = 0 exactly where dist(J, k) > κ, ≥ 0 elsewhere and > 0 somewhere for each such k."""
    algorithm = build(
        "algo=lomaq",
        "mixer=lomaq_gcn",
        f"mixer.hops={hops}",
        f"monotonicity={constraint}",
        *choice(partition),
        spec=SPEC,
    )
    mixer = algorithm.mixer
    optimizer = torch.optim.Adam(mixer.parameters(), lr=0.02)
    for step in range(20):
        utilities, state = inputs(seed=step)
        optimizer.zero_grad()
        (mixer(utilities, state) + utilities.sum(-1, keepdim=True)).square().mean().backward()
        optimizer.step()
        algorithm.after_step()
    utilities, state = inputs((10, 20), seed=1000, scale=2.0)
    slopes = jacobian(mixer(utilities.requires_grad_(), state), utilities)
    for block, agents in enumerate(PARTITIONS[partition]):
        near = reference.within(GRAPH, agents, int(hops))
        for agent in range(8):
            slope = slopes[..., block, agent]
            assert bool(mixer.reads[block, agent]) == (agent in near)
            assert (slope >= 0).all()
            assert bool((slope > 0).any()) == (agent in near), f"block {block}, agent {agent}"


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("constraint", ["hard", "none"])
def test_slopes_equal_finite_differences(constraint: str, partition: str) -> None:
    mixer = mixer_of("mixer.hops=2", f"monotonicity={constraint}", *choice(partition))
    utilities, state = inputs()
    with torch.no_grad():
        slopes = mixer.slopes(utilities, state)
        for agent in range(8):
            nudge = torch.zeros_like(utilities)
            nudge[..., agent] = 1e-5
            difference = (mixer(utilities + nudge, state) - mixer(utilities - nudge, state)) / 2e-5
            torch.testing.assert_close(slopes[..., agent], difference, atol=1e-6, rtol=1e-6)
    assert not slopes.requires_grad
    assert slopes.abs().max() > 1e-2


def test_slopes_equal_one_backward_pass_per_value() -> None:
    mixer = mixer_of("mixer.hops=2", *choice("blocks"))
    utilities, state = inputs()
    slopes = mixer.slopes(utilities, state)
    for b in range(2):
        for t in range(3):
            for block in range(3):
                point = utilities.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(mixer(point, state)[b, t, block], point)
                torch.testing.assert_close(slopes[b, t, block], gradient[b, t])


def test_the_names_of_agents_do_not_matter() -> None:
    """With agents, graph and heads renamed alike, each agent's block is worth what it was."""
    order = torch.tensor([3, 0, 7, 5, 1, 6, 4, 2])
    mixer = mixer_of("mixer.hops=2")
    renamed = mixer_of("mixer.hops=2", spec=make_spec(n_agents=8, graph=GRAPH[order][:, order]))
    parameters = mixer.state_dict()
    for name, parameter in parameters.items():
        if name.startswith("heads"):
            perhead = parameter.unflatten(0, (8, -1))
            parameters[name] = perhead[order].flatten(0, 1)
    renamed.load_state_dict(parameters)
    utilities, state = inputs()
    torch.testing.assert_close(renamed(utilities[..., order], state), mixer(utilities, state)[..., order])
    assert not torch.isclose(renamed(utilities, state), mixer(utilities, state)).all()


def test_projected_parameters_leave_the_heads_unprojected_and_are_refused() -> None:
    with pytest.raises(UserError, match=r"generated.*\n.*monotonicity=hard"):
        mixer_of("monotonicity=projected")


def test_normalised_adjacency_by_hand() -> None:
    """A path of three: degrees of A + I are 2, 3, 2."""
    cross = 1 / math.sqrt(6)
    expected = torch.tensor([[1 / 2, cross, 0], [cross, 1 / 3, cross], [0, cross, 1 / 2]])
    torch.testing.assert_close(normalised_adjacency(graphs.line(3)), expected)
    assert normalised_adjacency(graphs.line(1)).tolist() == [[1.0]]
