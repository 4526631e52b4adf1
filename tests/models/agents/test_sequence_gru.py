"""The passes over packed sequences against torch.nn.GRU's."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from marlpipe.models.agents.sequence_gru import PASSAGE_ROWS, SequenceGRU, passages
from tests.support.composition import build
from tests.support.synthetic import make_spec

SIZES = [(3, 5), (5, 5), (6, 2)]
COUNTS = {
    "one moment": [4],
    "one sequence": [1, 1, 1],
    "of one length": [3, 3, 3, 3],
    "ending one by one": [4, 3, 2, 1],
    "ending together": [5, 5, 2, 2, 2, 1],
    "several passages": [400, 400, 400, 300, 300, 7, 7, 1],
    "moments longer than a passage": [PASSAGE_ROWS + 3, PASSAGE_ROWS + 3, PASSAGE_ROWS, 5],
}


def pair(sizes: tuple[int, int], dtype: torch.dtype) -> tuple[SequenceGRU, nn.GRU]:
    torch.manual_seed(0)
    ours, plain = SequenceGRU(*sizes).to(dtype), nn.GRU(*sizes).to(dtype)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def passed(net: nn.GRU, data: Tensor, counts: list[int], start: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs and last memory, with the gradients of a weighted sum of both."""
    inputs = {"data": data.clone().requires_grad_(), "start": None if start is None else start.clone().requires_grad_()}
    outputs, last = net(PackedSequence(inputs["data"], torch.tensor(counts)), inputs["start"])
    draw = torch.Generator().manual_seed(7)
    weigh = functools.partial(torch.randn, generator=draw, dtype=data.dtype)
    ((outputs.data * weigh(outputs.data.shape)).sum() + (last * weigh(last.shape)).sum()).backward()
    gradients = {name: leaf.grad for name, leaf in [*inputs.items(), *net.named_parameters()] if leaf is not None}
    return {"outputs": outputs.data.detach(), "last": last.detach(), **gradients}, outputs.batch_sizes


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
def test_outputs_and_all_gradients_are_those_of_torch(counts: list[int], sizes: tuple[int, int], started: bool) -> None:
    ours, plain = pair(sizes, torch.float64)
    data = torch.randn(sum(counts), sizes[0], dtype=torch.float64)
    start = torch.randn(1, counts[0], sizes[1], dtype=torch.float64) if started else None
    found, batch_sizes = passed(ours, data, counts, start)
    expected, _ = passed(plain, data, counts, start)
    assert batch_sizes.tolist() == counts
    assert found.keys() == expected.keys()
    for name, of_torch in expected.items():
        torch.testing.assert_close(found[name], of_torch, atol=1e-12, rtol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_single_precision_is_equal_within_1e_6_of_the_largest() -> None:
    counts = [300] * 40 + [200] * 30 + [90] * 30
    ours, plain = pair((64, 64), torch.float32)
    ours.reset_parameters()
    plain.load_state_dict(ours.state_dict())
    data = torch.randn(sum(counts), 64)
    found, expected = passed(ours, data, counts, None)[0], passed(plain, data, counts, None)[0]
    for name, of_torch in expected.items():
        assert float((found[name] - of_torch).abs().max()) < 1e-6 * max(1, float(of_torch.abs().max())), name


def test_derivatives_are_those_of_finite_differences() -> None:
    ours, _ = pair((2, 3), torch.float64)

    def outputs(data: Tensor, start: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip([name for name, _ in ours.named_parameters()], weights, strict=True))
        packed = PackedSequence(data, torch.tensor([3, 2, 2]))
        found: Any = torch.func.functional_call(ours, named, (packed, start))
        return torch.cat([found[0].data, found[1][0]])

    leaves = [torch.randn(7, 2).double(), torch.randn(1, 3, 3).double(), *(p.detach() for p in ours.parameters())]
    assert torch.autograd.gradcheck(outputs, [leaf.clone().requires_grad_() for leaf in leaves])


def test_sequences_in_any_order() -> None:
    """As torch sorts them, and puts their memories back."""
    ours, plain = pair((3, 4), torch.float64)
    packed = pack_sequence([torch.randn(n, 3).double() for n in (2, 5, 1, 5, 3)], enforce_sorted=False)
    start = torch.randn(1, 5, 4).double()
    (found, last), (expected, last_expected) = ours(packed, start), plain(packed, start)
    torch.testing.assert_close(found.data, expected.data)
    torch.testing.assert_close(last, last_expected)
    assert torch.equal(found.unsorted_indices, expected.unsorted_indices)


def test_saturated_gates_are_finite() -> None:
    ours, plain = pair((3, 4), torch.float32)
    data = 1e30 * torch.randn(6, 3)
    found, expected = passed(ours, data, [3, 2, 1], None)[0], passed(plain, data, [3, 2, 1], None)[0]
    for name in ("outputs", "last", "data"):
        torch.testing.assert_close(found[name], expected[name])


def test_a_graph_can_be_walked_twice_and_only_once_differentiated() -> None:
    ours, _ = pair((3, 4), torch.float64)
    data = torch.randn(5, 3).double().requires_grad_()
    total = ours(PackedSequence(data, torch.tensor([3, 2])))[0].data.square().sum()
    (first,) = torch.autograd.grad(total, data, retain_graph=True)
    (again,) = torch.autograd.grad(total, data, retain_graph=True)
    assert torch.equal(first, again)
    (differentiable,) = torch.autograd.grad(total, data, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        differentiable.sum().backward()


def test_nothing_is_kept_without_a_graph() -> None:
    ours, _ = pair((3, 4), torch.float64)
    packed = PackedSequence(torch.randn(2000, 3).double(), torch.tensor([1000, 1000]))
    with_graph = ours(packed)[0].data
    with torch.no_grad():
        without = ours(packed)[0].data
    assert with_graph.requires_grad
    assert not without.requires_grad
    assert torch.equal(with_graph, without)


def test_what_is_not_packed_takes_torchs_own_way() -> None:
    ours, plain = pair((3, 4), torch.float64)
    steps = torch.randn(6, 2, 3).double()
    for found, expected in zip(ours(steps), plain(steps), strict=True):
        assert torch.equal(found, expected)


def test_passages_hold_consecutive_moments() -> None:
    counts = [500, 500, 100, 1000, 24, 2000, 3]
    found = list(passages(counts))
    assert [lengths for _, lengths in found] == [[500, 500], [100], [1000, 24], [2000], [3]]
    assert [(rows.start, rows.stop) for rows, _ in found] == [
        (0, 1000),
        (1000, 1100),
        (1100, 2124),
        (2124, 4124),
        (4124, 4127),
    ]


def test_the_config_chooses() -> None:
    """Either layer starts from the same parameters."""
    choices: list[list[str]] = [[], ["agent.gru._target_=torch.nn.GRU"]]
    agents = [build("algo=qmix", *choice, spec=make_spec()).agent for choice in choices]
    assert [type(agent.cell.gru) for agent in agents] == [SequenceGRU, nn.GRU]
    for ours, plain in zip(agents[0].parameters(), agents[1].parameters(), strict=True):
        assert torch.equal(ours, plain)
