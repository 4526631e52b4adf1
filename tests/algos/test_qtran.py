"""QTRAN, base and alt, against losses computed in plain loops."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from marlpipe.algos.qtran import shortfall
from marlpipe.algos.qtran_alt import least, one_changed
from marlpipe.errors import UserError
from marlpipe.types import EpisodeBatch
from tests.algos.plain_qtran import SPEC, joint_estimates, plain_terms, remembered, side_terms, summed
from tests.support import reference
from tests.support.composition import build, draws, loss_of
from tests.support.synthetic import episode, ragged_batch, scramble, with_padding

ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"
ALGORITHMS = ["qtran", "qtran_alt"]
FACTORS = ("loss.opt_factor=1.5", "loss.nopt_factor=0.75")  # nothing that could pass for another


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def scrambled(algo: str, *overrides: str) -> Any:
    algorithm = build(f"algo={algo}", *overrides, spec=SPEC)
    scramble(algorithm)
    return algorithm


def plain_loss(terms: list[dict[str, Tensor]]) -> Tensor:
    return torch.stack([term["td"] + 1.5 * term["opt"] + 0.75 * term["nopt"] for term in terms]).mean()


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


@pytest.mark.parametrize("profile", [ONE_STEP, LAMBDA])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_loss_and_gradients_equal_plain_loops(algo: str, profile: str) -> None:
    """Gradients too: Q_jt is a constant in the side constraints, targets are, and V has no part in the first term."""
    algorithm, batch = scrambled(algo, profile, *FACTORS), ragged()
    terms = plain_terms(algo, algorithm, batch, 0.0 if profile == ONE_STEP else 0.6)
    assert all(len({float(term[name].detach()) for term in terms}) > 5 for name in ("td", "opt", "nopt"))
    loss, expected = loss_of(algorithm, batch)[0], plain_loss(terms)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    for part in ("agent.output", "joint.", "state_value."):
        assert max(float(gradient.abs().max()) for name, gradient in wanted.items() if name.startswith(part)) > 1e-3


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_any_mixer_may_stand_for_the_sum(algo: str) -> None:
    algorithm, batch = scrambled(algo, ONE_STEP, *FACTORS, "mixer=qmix", "monotonicity=abs"), ragged()
    expected = plain_loss(
        plain_terms(algo, algorithm, batch, 0.0, lambda q, s: reference.qmix(algorithm.mixer, 0, q, s))
    )
    torch.testing.assert_close(loss_of(algorithm, batch)[0], expected, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_soft_penalty_takes_its_share(algo: str) -> None:
    """Half of the three terms, and half of what the slopes of the mixed value at the taken actions are below zero."""
    algorithm, batch = scrambled(algo, ONE_STEP, "mixer=qmix", "monotonicity=soft"), ragged()
    loss, metrics = loss_of(algorithm, batch)
    hinge, steps = 0.0, 0
    for given in reference.episodes(batch):
        utilities, _ = remembered(algorithm.agent, given)
        for t, actions in enumerate(given.actions):
            probed = reference.taken(utilities[t], actions).detach().requires_grad_()
            value = reference.qmix(algorithm.mixer, 0, probed, given.state[t], constrain=lambda w: w)
            hinge -= float(torch.autograd.grad(value, probed)[0].clamp(max=0).sum())
            steps += 1
    assert hinge > 0
    assert float(metrics["penalty"]) == pytest.approx(0.5 * hinge / steps)
    terms = metrics["td_loss"] + metrics["opt_loss"] + metrics["nopt_loss"]
    torch.testing.assert_close(loss.detach(), 0.5 * terms + metrics["penalty"])


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_who_learns_from_which_term(algo: str) -> None:
    """V and the utilities from the side constraints only, Q_jt from the targets only; in the base form so do agents."""
    batch = ragged()
    td_only = scrambled(algo, "loss.opt_factor=0.0", "loss.nopt_factor=0.0")
    everything = scrambled(algo, *FACTORS)
    of_td, of_all = (gradients(algorithm, loss_of(algorithm, batch)[0]) for algorithm in (td_only, everything))
    for name, gradient in of_td.items():
        if name.startswith(("state_value.", "agent.output.", "target_")):
            assert not gradient.any(), name
        if name.startswith("joint."):
            torch.testing.assert_close(gradient, of_all[name])
            assert gradient.any(), name
        if name.startswith(("agent.input", "agent.cell")):
            assert gradient.any() == (algo == "qtran"), name
    for name, gradient in of_all.items():
        assert gradient.any() != name.startswith("target_"), name


@pytest.mark.parametrize(("term", "other"), [("opt", "nopt"), ("nopt", "opt")])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_factors_act_on_their_own_term(algo: str, term: str, other: str) -> None:
    batch = ragged()
    _, once = loss_of(scrambled(algo), batch)
    factor = {"opt": 1.0, "nopt": 0.1}[term]
    _, thrice = loss_of(scrambled(algo, f"loss.{term}_factor={3 * factor}"), batch)
    torch.testing.assert_close(thrice[f"{term}_loss"], 3 * once[f"{term}_loss"])
    for same in ("td_loss", f"{other}_loss"):
        assert torch.equal(thrice[same], once[same])


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_episodes_add_up_to_the_batch(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(loss_of(algorithm, batch)[0], weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_padding_never_matters(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, _), (dirty, _) = loss_of(algorithm, batch), loss_of(algorithm, garbage)
    assert clean.isfinite()
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_unsteps_to_learn_from_are_left_out(algo: str) -> None:
    """What a learned reward does not trust has no part in any term, as if its step had not been drawn."""
    algorithm, batch = scrambled(algo), ragged()
    block_rewards = algorithm.reward(batch)
    first_two = batch.valid & (torch.arange(batch.valid.shape[1]) < 2)
    loss, _ = algorithm.loss(batch, block_rewards._replace(learn_mask=first_two), draws())
    terms = plain_terms(algo, algorithm, batch, 0.6)  # profile quick
    starts = [sum(batch.lengths[:index].tolist()) for index in range(5)]
    kept = [terms[s + t] for s, n in zip(starts, batch.lengths.tolist(), strict=True) for t in range(min(n, 2))]
    expected = torch.stack([term["td"] + term["opt"] + 0.1 * term["nopt"] for term in kept]).mean()
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)


def test_syncing_copies_what_the_targets_are_made_of() -> None:
    for algo, names in {"qtran": ["agent", "joint"], "qtran_alt": ["joint"]}.items():
        algorithm = scrambled(algo)
        targets = [name for name, _ in algorithm.named_children() if name.startswith("target_")]
        assert targets == [f"target_{name}" for name in names]
        pairs = [(getattr(algorithm, name), getattr(algorithm, f"target_{name}")) for name in names]
        assert all(any((a != b).any() for a, b in zip(x.parameters(), y.parameters(), strict=True)) for x, y in pairs)
        algorithm.sync_targets()
        for online, target in pairs:
            assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
            assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))
            assert not any(parameter.requires_grad for parameter in target.parameters())


def test_big_is_one_more_hidden_layer_in_both_networks() -> None:
    for override, depth in {"loss.joint.layers=2": 3, "loss.joint.layers=3": 4}.items():
        algorithm = build("algo=qtran", override, spec=SPEC)
        for network, inputs in ((algorithm.joint.mlp, 64 + 4 + 6), (algorithm.state_value.mlp, 6)):
            shapes = [layer.weight.shape for layer in network if isinstance(layer, nn.Linear)]
            assert shapes == [(64, inputs)] + [(64, 64)] * (depth - 2) + [(1, 64)]
    alt = build("algo=qtran_alt", spec=SPEC)
    shapes = [layer.weight.shape for layer in alt.joint.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(64, 6 + 3 * 4 + 3), (64, 64), (4, 64)]
    assert [layer.weight.shape for layer in alt.state_value.mlp if isinstance(layer, nn.Linear)] == [(64, 6), (1, 64)]


@pytest.mark.parametrize(
    ("override", "valid"),
    [
        ("partition=pairs", "partition=full"),
        ("projection=optimistic", "projection=uniform"),
        ("monotonicity=hard", "monotonicity=none"),
        ("mixer=builtin", "mixer=sum"),
    ],
)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_refusals_name_what_is_valid(algo: str, override: str, valid: str) -> None:
    with pytest.raises(UserError, match=valid):
        build(f"algo={algo}", override, spec=SPEC)


def test_the_errors_by_hand() -> None:
    factored, joint, state_value = torch.tensor([[3.0], [1.0]]), torch.tensor([[2.5], [4.0]]), torch.tensor([[0.5]] * 2)
    assert shortfall(factored, joint, state_value).tolist() == [[0.0], [-2.5]]
    gaps, avail = torch.tensor([[[-9.0, 2.0, 1.0]]]), torch.tensor([[[False, True, True]]])
    assert least(gaps, avail).tolist() == [[1.0]]
    utilities = torch.tensor([[[[1.0, 2.0], [10.0, 20.0]]]])
    assert one_changed(utilities, torch.tensor([[[0, 1]]])).tolist() == [
        [[[[1.0, 20.0], [2.0, 20.0]], [[1.0, 10.0], [1.0, 20.0]]]]
    ]


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_factorisation_is_of_the_joint_value(algo: str) -> None:
    algorithm, batch = scrambled(algo, *FACTORS), ragged()
    learned = algorithm.joint_value_view(batch)
    tried = torch.randint(SPEC.n_actions, batch.actions.shape, generator=torch.Generator().manual_seed(3))
    found = learned.joint_value(tried)
    for index, given in enumerate(reference.episodes(batch)):
        _, memories = remembered(algorithm.agent, given)
        for t in range(len(given.actions)):
            u, s = tried[index, t].tolist(), given.state[t]
            expected = torch.stack(joint_estimates(algo, algorithm.joint, memories[t], u, s)).mean()
            torch.testing.assert_close(found[index, t], expected.detach(), atol=1e-8, rtol=1e-8)
    assert not found[~batch.valid].any()
    assert torch.equal(learned.slopes(), torch.ones(*batch.valid.shape, 1, SPEC.n_agents, dtype=torch.float64))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_block_gradients_are_those_of_the_side_constraints(algo: str) -> None:
    """The norm over all steps of the gradient of half the squared errors, with respect to all utilities."""
    algorithm, batch = scrambled(algo, *FACTORS), ragged()
    squares = 0.0
    for given in reference.episodes(batch):
        utilities, memories = remembered(algorithm.agent, given)
        for t in range(len(given.actions)):
            leaf = utilities[t].detach().requires_grad_()
            opt, nopt = side_terms(algo, algorithm, given, t, leaf, memories[t], summed)
            (gradient,) = torch.autograd.grad(0.5 * (1.5 * opt + 0.75 * nopt), leaf)
            squares += float(gradient.square().sum())
    [found] = algorithm.joint_value_view(batch).block_gradients().tolist()
    assert found == pytest.approx(squares**0.5)
