"""Penalties on negative slopes, projections after a step, and what does not go together."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.models import partitions
from marlpipe.models.monotonicity.penalties import GradientPenalty, NoPenalty, coarsening, sample_box
from tests.support.composition import build, draws
from tests.support.synthetic import make_spec

SPEC = make_spec(n_agents=4)
SINGLETONS, FULL, PAIRS = torch.eye(4), torch.ones(1, 4), torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
VALID = torch.tensor([[True, True, True], [True, False, False]])
PLAIN = {"coefficient": 1.0, "form": "additive", "enforced": None, "sampled": False}


def penalty(partition: Tensor = SINGLETONS, **options: Any) -> GradientPenalty:
    return GradientPenalty(SPEC, partition, **{**PLAIN, **options})


def linear(matrix: Tensor, enforced: Any = None, valid: Tensor = VALID) -> float:
    """The penalty on F = M U, whose slopes are M."""
    utilities = torch.randn(2, 3, 4, requires_grad=True)

    def mix(u: Tensor) -> Tensor:
        return u @ matrix.T

    return float(penalty(enforced=enforced)(mix(utilities), utilities, valid, mix, draws()).detach())


def pairs(spec: Any) -> Tensor:
    return partitions.blocks(spec, size=2)


def test_a_monotone_value_costs_nothing() -> None:
    for enforced in (None, partitions.full, pairs):
        assert linear(torch.rand(4, 4), enforced) == 0.0


@pytest.mark.parametrize("enforced", [None, partitions.full, pairs])
def test_a_falling_value_costs(enforced: Any) -> None:
    """F = −U has four slopes of −1 at each step, over four blocks."""
    assert linear(-torch.eye(4), enforced) == pytest.approx(1.0)


def test_slopes_are_summed_over_agents_and_averaged_over_blocks() -> None:
    matrix = torch.tensor([[-1.0, 2, 0, -3], [0, -0.5, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    assert linear(matrix) == pytest.approx((1 + 3 + 0.5) / 4)
    # sums over columns: 0, 2.5, 2, −2 in full; over pairs −1, 1.5, 1, −3 and 1, 1, 1, 1
    assert linear(matrix, partitions.full) == pytest.approx(2 / 4)
    assert linear(matrix, pairs) == pytest.approx((1 + 3) / 4)


def test_enforcing_less_never_costs_more() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        matrix = torch.randn(4, 4)
        full, two, all_four = (linear(matrix, enforced) for enforced in (partitions.full, pairs, None))
        assert full <= two + 1e-6
        assert two <= all_four + 1e-6


def test_the_penalty_is_over_the_steps_that_exist() -> None:
    """F = U³/3 − c·U falls where U² < c; only such steps cost, and only valid ones."""
    utilities = torch.zeros(2, 3, 4)
    utilities[0, 1:] = 2.0
    utilities[1, 1:] = 0.5  # not valid
    utilities.requires_grad_()

    def mix(u: Tensor) -> Tensor:
        return u**3 / 3 - u

    # slope −1 for all four agents at the valid (0, 0) and (1, 0); 3 at (0, 1), (0, 2); of four valid steps
    assert penalty()(mix(utilities), utilities, VALID, mix, draws()).item() == pytest.approx((1.0 + 1.0) / 4)


def test_the_penalty_can_be_learned_from() -> None:
    algorithm = build("algo=lomaq", "monotonicity=soft", spec=SPEC)
    optimizer = torch.optim.Adam(algorithm.mixer.parameters(), lr=0.02)
    utilities = torch.randn(8, 4, 4, dtype=torch.float64, requires_grad=True)
    valid, state = torch.ones(8, 4, dtype=torch.bool), torch.zeros(8, 4, 6).double()
    costs = []
    for _ in range(60):
        optimizer.zero_grad()
        values = algorithm.mixer(utilities, state)
        cost = algorithm.monotonicity.penalty(values, utilities, valid, lambda u: algorithm.mixer(u, state), draws())
        cost.backward()
        optimizer.step()
        costs.append(float(cost.detach()))
    assert costs[0] > 0.01
    assert costs[-1] < 0.1 * costs[0]


@pytest.mark.parametrize(("form", "share"), [("convex", 0.75), ("additive", 1.0)])
def test_convex_and_additive_forms(form: Any, share: float) -> None:
    method = penalty(coefficient=0.25, form=form)
    utilities = torch.randn(2, 3, 4, requires_grad=True)
    assert method.loss_share == share
    assert method(-utilities, utilities, VALID, torch.neg, draws()).item() == pytest.approx(0.25)


def test_a_convex_coefficient_is_a_share() -> None:
    with pytest.raises(UserError, match=r"coefficient=1\.5.*\n?.*additive"):
        penalty(coefficient=1.5, form="convex")
    assert penalty(coefficient=1.5, form="additive").loss_share == 1.0


def test_no_penalty() -> None:
    method = NoPenalty(SPEC, SINGLETONS)
    utilities = torch.randn(2, 3, 4)
    assert method.loss_share == 1.0
    assert method(-utilities, utilities, VALID, torch.neg, draws()).item() == 0.0


def test_a_coarsening_names_the_parts_of_each_block() -> None:
    assert coarsening(SINGLETONS, PAIRS).tolist() == PAIRS.tolist()
    assert coarsening(PAIRS, FULL).tolist() == [[1.0, 1.0]]
    assert coarsening(PAIRS, PAIRS).tolist() == torch.eye(2).tolist()


@pytest.mark.parametrize("fine", [FULL, torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])])
def test_what_is_enforced_must_be_coarser(fine: Tensor) -> None:
    with pytest.raises(UserError, match="must lie inside one enforced block"):
        penalty(fine, enforced=pairs)


def test_the_configs_partition_can_be_enforced() -> None:
    algorithm = build("algo=lomaq", "monotonicity=soft", "+partition@monotonicity.penalty.enforced=full", spec=SPEC)
    assert algorithm.monotonicity.penalty.sums.tolist() == [[1.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize("project_biases", [False, True])
def test_projecting_clamps_weights_and_biases_where_asked(project_biases: bool) -> None:
    algorithm = build(
        "algo=lomaq", "monotonicity=projected", f"monotonicity.project_biases={project_biases}", spec=SPEC
    )
    mixer = algorithm.mixer
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    before = {name: parameter.clone() for name, parameter in mixer.named_parameters()}
    utilities_network = [parameter.clone() for parameter in algorithm.agent.parameters()]
    algorithm.after_step()
    for name, parameter in mixer.named_parameters():
        clamped = project_biases or name.startswith("theta")
        assert torch.equal(parameter, before[name].clamp(min=0) if clamped else before[name]), name
        assert (before[name] < 0).any()
    assert all(torch.equal(a, b) for a, b in zip(utilities_network, algorithm.agent.parameters(), strict=True))


def test_a_projected_weight_recovers_from_zero_and_a_rectified_one_does_not() -> None:
    """What distinguishes LOMAQ's Algorithm 3 from rectifying in the forward pass."""
    recovered = {}
    for method in ("projected", "hard"):
        algorithm = build("algo=lomaq", f"monotonicity={method}", "mixer.hops=0", spec=SPEC)
        mixer, generator = algorithm.mixer, torch.Generator().manual_seed(0)
        with torch.no_grad():
            for theta in mixer.theta:
                theta.abs_()
            mixer.theta[0][:, :, 0] = 0.0
        optimizer = torch.optim.SGD(mixer.parameters(), lr=1e-6)
        for _ in range(3):
            utilities = torch.rand(4, 4, 4, generator=generator).double()
            optimizer.zero_grad()
            (-mixer(utilities, torch.zeros(4, 4, 6).double()).sum()).backward()  # larger weights are better
            optimizer.step()
            algorithm.after_step()
        recovered[method] = bool((mixer.theta[0][:, :, 0] > 0).all())
    assert recovered == {"projected": True, "hard": False}


@pytest.mark.parametrize("project_biases", [False, True])
def test_a_projected_mixer_is_monotone_from_the_start(project_biases: bool) -> None:
    algorithm = build(
        "algo=lomaq", "monotonicity=projected", f"monotonicity.project_biases={project_biases}", spec=SPEC
    )
    for mixer in (algorithm.mixer, algorithm.target_mixer):
        slopes = mixer.slopes(torch.randn(20, 5, 4).double(), torch.zeros(20, 5, 6).double())
        assert (slopes >= 0).all()
        assert (slopes > 0).any()


@pytest.mark.parametrize("method", ["hard", "abs", "softplus", "soft", "none"])
def test_the_others_leave_parameters_alone_after_a_step(method: str) -> None:
    algorithm = build("algo=lomaq", f"monotonicity={method}", spec=SPEC)
    before = [parameter.clone() for parameter in algorithm.mixer.parameters()]
    algorithm.after_step()
    assert all(torch.equal(a, b) for a, b in zip(before, algorithm.mixer.parameters(), strict=True))


@pytest.mark.parametrize("method", ["hard", "abs", "softplus", "soft", "projected"])
def test_a_sum_has_no_weights_to_act_on(method: str) -> None:
    with pytest.raises(UserError, match=r"SumMixer leaves it none.*\n.*monotonicity=none"):
        build("algo=vdn", f"monotonicity={method}", spec=SPEC)


def test_generated_weights_cannot_be_projected() -> None:
    with pytest.raises(UserError, match=r"HypernetMixer are generated.*\n.*monotonicity=hard"):
        build("algo=qmix", "monotonicity=projected", spec=SPEC)


def test_draws_fill_the_box_of_the_steps_that_exist() -> None:
    utilities = torch.randn(40, 50, 4) * torch.tensor([1.0, 2.0, 0.0, 0.5]) + torch.tensor([0.0, 5.0, 3.0, -2.0])
    valid = torch.rand(40, 50) < 0.5
    utilities[~valid] = 1e6
    drawn = sample_box(utilities, valid, draws())
    assert (drawn[~valid] == 0).all()
    reached, inside = utilities[valid], drawn[valid]
    low, high = reached.min(0).values, reached.max(0).values
    assert (inside >= low).all()
    assert (inside <= high).all()
    torch.testing.assert_close(inside[:, 2], torch.full((len(inside),), 3.0))
    for agent in (0, 1, 3):  # uniform: its quarters are reached alike, and agents are drawn one by one
        place = (inside[:, agent] - low[agent]) / (high[agent] - low[agent])
        counts = torch.histc(place, bins=4, min=0, max=1) / len(place)
        torch.testing.assert_close(counts, torch.full((4,), 0.25), atol=0.06, rtol=0.0)
    assert torch.corrcoef(inside[:, [0, 1, 3]].T).triu(1).abs().max() < 0.12


def test_draws_do_not_depend_on_how_much_is_padded() -> None:
    utilities, valid = torch.randn(2, 3, 4), VALID
    short = sample_box(utilities, valid, draws(3))
    padded = torch.cat([valid, torch.zeros_like(valid)], dim=1)
    longer = sample_box(torch.cat([utilities, utilities], dim=1), padded, draws(3))
    assert torch.equal(longer[:, :3], short)


def test_a_sampled_penalty_sees_what_lies_between_the_utilities() -> None:
    """F = −cos(π U) rises at U = ±0.5 and, for |U| ≤ 1, falls in the left half: π · mean of |sin| over the box,
    Σ over 4 agents, over 4 blocks, is π · (2/π) / 2 = 1."""
    utilities = torch.tensor([[-0.5, 0.5, 1.0]]).repeat(4000, 1).unsqueeze(-1).repeat(1, 1, 4)
    utilities[:, 0] = 1.0
    utilities[0, 0] = -1.0
    valid = torch.ones(4000, 3, dtype=torch.bool)

    def mix(u: Tensor) -> Tensor:
        return -torch.cos(torch.pi * u)

    chosen = utilities.clone().requires_grad_()
    assert penalty(sampled=True)(mix(chosen), chosen, valid, mix, draws()).item() == pytest.approx(1.0, abs=0.03)
    assert penalty(sampled=False)(mix(chosen), chosen, valid, mix, draws()).item() < 0.01


def test_a_sampled_penalty_teaches_the_mixer_alone() -> None:
    """F = s·e^U with s = −1: the penalty is −s times a mean of e^U, whose points are constants."""
    scale = torch.tensor(-1.0, requires_grad=True)
    utilities = torch.randn(2, 3, 4, requires_grad=True)
    cost = penalty(sampled=True)(scale * utilities.exp(), utilities, VALID, lambda u: scale * u.exp(), draws())
    cost.backward()
    assert cost.item() > 0
    assert float(scale.grad) == pytest.approx(-cost.item())
    assert utilities.grad is None
