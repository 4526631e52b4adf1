"""From utilities to one value per block: QMIX, LOMAQ, VDN and the unrestricted mixer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.models.mixers.reading import private_groups, read_set, scatter_read, translation_groups
from marlpipe.models.monotonicity.jacobian import jacobian, violation_rate
from tests.support import reference
from tests.support.composition import build
from tests.support.synthetic import make_spec, scramble

PARTITION = "partition=pairs"  # {0, 1}, {2, 3}, {4} of five agents
SPEC = make_spec(n_agents=5)
CONSTRAINTS = {"abs": torch.abs, "hard": torch.relu, "softplus": F.softplus}


def banded(n_agents: int, reach: int) -> Tensor:
    """Who overlaps with whom in navigation on a line: |i − j| ≤ reach."""
    index = torch.arange(n_agents)
    distance = (index[:, None] - index).abs()
    return (distance <= reach) & (distance > 0)


def mixer_of(*overrides: str, spec: Any = SPEC, noise: float = 0.3) -> Any:
    mixer = build(*overrides, spec=spec).mixer
    scramble(mixer, scale=noise)
    return mixer


def inputs(
    spec: Any = SPEC, shape: tuple[int, int] = (3, 4), seed: int = 1, scale: float = 2.0
) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    utilities = scale * torch.randn(*shape, spec.n_agents, generator=draw, dtype=torch.float64)
    return utilities, torch.randn(*shape, spec.state_dim, generator=draw, dtype=torch.float64)


def finite_differences(mixer: Any, utilities: Tensor, state: Tensor) -> Tensor:
    step, columns = 1e-5, []
    for agent in range(utilities.shape[-1]):
        nudge = torch.zeros_like(utilities)
        nudge[..., agent] = step
        with torch.no_grad():
            columns.append((mixer(utilities + nudge, state) - mixer(utilities - nudge, state)) / (2 * step))
    return torch.stack(columns, dim=-1)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("layout", [("partition=full", "mixer.hops=0"), (PARTITION, "mixer.hops=1")], ids=str)
def test_qmix_slopes_in_closed_form(constraint: str, layout: tuple[str, ...]) -> None:
    mixer = mixer_of("algo=qmix", f"monotonicity={constraint}", *layout)
    utilities, state = inputs()
    slopes = mixer.slopes(utilities, state)
    assert (slopes - finite_differences(mixer, utilities, state)).abs().max() < 1e-6
    assert (slopes >= 0).all()
    assert slopes.max() > 1e-2


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("layout", [("partition=full", "mixer.hops=0"), (PARTITION, "mixer.hops=1")], ids=str)
def test_qmix_equals_pymarls_mixer_per_block(constraint: str, layout: tuple[str, ...]) -> None:
    mixer = mixer_of("algo=qmix", f"monotonicity={constraint}", *layout)
    blocks = [[0, 1, 2, 3, 4]] if layout[0] == "partition=full" else [[0, 1], [2, 3], [4]]
    utilities, state = inputs()
    values = mixer(utilities, state)
    assert values.shape == (3, 4, len(blocks))
    for block, agents in enumerate(blocks):
        reads = reference.within(SPEC.graph, agents, 0 if layout[0] == "partition=full" else 1)
        for b in range(3):
            for t in range(4):
                expected = reference.qmix(mixer, block, utilities[b, t, reads], state[b, t], CONSTRAINTS[constraint])
                torch.testing.assert_close(values[b, t, block], expected)


def test_qmix_has_the_published_sizes() -> None:
    mixer = build("algo=qmix", spec=SPEC).mixer
    shapes = {name: tuple(parameter.shape) for name, parameter in mixer.named_parameters()}
    assert shapes == {
        "w1.hidden.weight": (64, 6),
        "w1.hidden.bias": (64,),
        "w1.output.weight": (1, 64, 5 * 32),
        "w1.output.bias": (1, 5 * 32),
        "b1.output.weight": (1, 6, 32),
        "b1.output.bias": (1, 32),
        "w2.hidden.weight": (64, 6),
        "w2.hidden.bias": (64,),
        "w2.output.weight": (1, 64, 32),
        "w2.output.bias": (1, 32),
        "v.hidden.weight": (32, 6),
        "v.hidden.bias": (32,),
        "v.output.weight": (1, 32, 1),
        "v.output.bias": (1, 1),
    }


@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("partition", ["singletons", "pairs", "full"])
def test_lomaq_equals_its_three_layers_per_block(partition: str, reach: int) -> None:
    spec = make_spec(n_agents=7, graph=banded(7, reach))
    mixer = mixer_of("algo=lomaq", f"partition={partition}", spec=spec)
    blocks = {
        "singletons": [[i] for i in range(7)],
        "pairs": [[0, 1], [2, 3], [4, 5], [6]],
        "full": [list(range(7))],
    }[partition]
    utilities, state = inputs(spec, (2, 2))
    values = mixer(utilities, state)
    for block, agents in enumerate(blocks):
        reads = reference.within(spec.graph, agents, 1)
        for b in range(2):
            for t in range(2):
                torch.testing.assert_close(values[b, t, block], reference.lomaq(mixer, block, utilities[b, t, reads]))


def test_lomaq_starts_from_normal_weights_and_no_biases() -> None:
    mixer = build("algo=lomaq", spec=make_spec(n_agents=15)).mixer
    assert [tuple(theta.shape) for theta in mixer.theta] == [(3, 3, 32), (3, 32, 32), (3, 32, 1)]
    assert all((bias == 0).all() for bias in mixer.bias)
    weights = torch.cat([theta.flatten() for theta in mixer.theta]).detach()
    assert abs(float(weights.mean())) < 0.1
    assert float(weights.std()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("constraint", [*CONSTRAINTS, "projected"])
def test_lomaq_stays_monotone_and_local_while_it_learns(constraint: str) -> None:
    spec = make_spec(n_agents=6)
    algorithm = build("algo=lomaq", f"monotonicity={constraint}", spec=spec)
    mixer = algorithm.mixer
    optimizer = torch.optim.Adam(mixer.parameters(), lr=0.05)
    for step in range(100):
        utilities, state = inputs(spec, seed=step)
        target = -utilities.flip(-1) + step % 3
        optimizer.zero_grad()
        ((mixer(utilities, state) - target) ** 2).mean().backward()
        optimizer.step()
        algorithm.after_step()
    utilities, state = inputs(spec, shape=(5, 20), seed=1000, scale=5.0)
    slopes = jacobian(mixer(utilities.requires_grad_(), state), utilities)
    near = torch.tensor([[abs(i - j) <= 1 for j in range(6)] for i in range(6)])
    assert (slopes >= 0).all()
    assert (slopes[..., ~near] == 0).all()
    assert violation_rate(slopes, mixer.reads, torch.ones(5, 20, dtype=torch.bool)) == 0
    assert torch.equal(mixer.reads, near)


@pytest.mark.parametrize("algo", ["lomaq", "qmix"])
def test_slopes_equal_one_backward_pass_per_value(algo: str) -> None:
    mixer = mixer_of(f"algo={algo}", PARTITION, "mixer.hops=1")
    utilities, state = inputs(shape=(2, 3))
    slopes = mixer.slopes(utilities, state)
    for b in range(2):
        for t in range(3):
            for block in range(3):
                point = utilities.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(mixer(point, state)[b, t, block], point)
                torch.testing.assert_close(slopes[b, t, block], gradient[b, t])
                gradient[b, t] = 0
                assert (gradient == 0).all()


def test_slopes_can_be_taken_without_gradients() -> None:
    """The weights of a projection are computed under no_grad."""
    mixer = mixer_of("algo=lomaq")
    utilities, state = inputs()
    with torch.no_grad():
        slopes = mixer.slopes(utilities, state)
    assert (slopes - finite_differences(mixer, utilities, state)).abs().max() < 1e-5


@pytest.mark.parametrize(("graph", "sharers"), [(graphs.line(15), range(1, 14)), (banded(15, 2), range(2, 13))])
def test_inner_blocks_on_a_line_share_one_network(graph: Tensor, sharers: range) -> None:
    mixer = build("algo=lomaq", spec=make_spec(n_agents=15, graph=graph)).mixer
    groups = mixer.group.tolist()
    assert len({groups[agent] for agent in sharers}) == 1
    assert len(set(groups)) == 1 + 15 - len(sharers)
    assert len(mixer.theta[0]) == len(set(groups))


def test_shared_networks_do_not_see_where_they_are() -> None:
    spec = make_spec(n_agents=7)
    mixer = mixer_of("algo=lomaq", spec=spec)
    utilities, state = inputs(spec)
    values, shifted = mixer(utilities, state), mixer(utilities.roll(1, dims=-1), state)
    torch.testing.assert_close(shifted[..., 2:6], values[..., 1:5])
    assert not torch.isclose(shifted[..., 1], values[..., 0]).any()


def test_private_networks_share_nothing() -> None:
    read = read_set(torch.eye(5), graphs.line(5), 1)
    assert private_groups(read, torch.eye(5)).tolist() == [0, 1, 2, 3, 4]
    assert translation_groups(read, torch.eye(5)).tolist() == [0, 1, 1, 1, 2]


def test_blocks_of_different_sizes_share_nothing() -> None:
    """Couples {0, 1} and {2, 3}; the first is one block, the second two, and {2} reads what {0, 1} does."""
    graph = torch.zeros(4, 4, dtype=torch.bool)
    graph[0, 1] = graph[1, 0] = graph[2, 3] = graph[3, 2] = True
    partition = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert translation_groups(read_set(partition, graph, 1), partition).tolist() == [0, 1, 2]


def test_reading_is_ascending_and_padded() -> None:
    read = read_set(torch.eye(4), graphs.line(4), 1)
    agents = [places[present].tolist() for places, present in zip(read.agents, read.present, strict=True)]
    assert agents == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3]]
    scattered = scatter_read(torch.ones(1, 1, 4, 3), read.agents, read.present, 4)
    assert torch.equal(scattered[0, 0] == 1, read.read_mask)


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_wider_reading_reaches_further(hops: int) -> None:
    mixer = mixer_of("algo=lomaq", f"mixer.hops={hops}", PARTITION)
    expected = [
        [agent in reference.within(SPEC.graph, block, hops) for agent in range(5)] for block in [[0, 1], [2, 3], [4]]
    ]
    assert mixer.reads.tolist() == expected


def test_vdn_is_a_sum_and_independent_learners_are_the_identity() -> None:
    utilities, state = inputs()
    vdn, alone = mixer_of("algo=vdn"), mixer_of("algo=iql")
    torch.testing.assert_close(vdn(utilities, state).squeeze(-1), utilities.sum(-1))
    assert torch.equal(alone(utilities, state), utilities)
    assert (vdn.slopes(utilities, state) == 1).all()
    assert torch.equal(alone.slopes(utilities, state)[1, 2], torch.eye(5).double())
    pairs = mixer_of("algo=vdn", PARTITION)(utilities, state)
    torch.testing.assert_close(pairs[..., 0], utilities[..., 0] + utilities[..., 1])
    torch.testing.assert_close(pairs[..., 2], utilities[..., 4])


def test_the_central_mixer_equals_wqmixs_and_is_not_monotone() -> None:
    mixer = build("algo=qpro", spec=SPEC).optimal_value.mixer
    scramble(mixer, scale=0.1)
    utilities, state = inputs()
    values = mixer(utilities, state)
    for b in range(3):
        for t in range(4):
            torch.testing.assert_close(values[b, t], reference.central(mixer, utilities[b, t], state[b, t]))
    assert [layer.out_features for layer in mixer.mlp if hasattr(layer, "out_features")] == [256, 256, 256, 1]
    assert (finite_differences(mixer, utilities, state) < 0).any()


def test_violations_are_counted_where_they_matter() -> None:
    gradients = torch.tensor([[[[1.0, -1.0]], [[-1.0, -1.0]], [[-1.0, -1.0]]]])
    reads = torch.tensor([[True, False]])
    valid = torch.tensor([[True, True, False]])
    assert violation_rate(gradients, reads, valid).item() == 0.5
