"""ResQ against its equations in plain loops, and what it promises: the residual never lifts another joint action."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.models.utilities import greedy_actions
from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.composition import build, loss_of
from tests.support.synthetic import episode, make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec(n_agents=4, n_actions=2)
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"  # λ of 0 and 0.6
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
RAW = "loss.residual.path=marlpipe.algos.resq.raw"
NEG_ABS: list[str] = []
PENALTY = [RAW]
OFFICIAL = [RAW, "loss.residual_loss_factor=0.0"]
FULL, PAIRS = [[0, 1, 2, 3]], [[0, 1], [2, 3]]


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def scrambled(*overrides: str, seed: int = 0) -> Any:
    algorithm = build("algo=resq", *overrides, spec=SPEC, seed=seed)
    scramble(algorithm, seed=seed)
    return algorithm


def plain_terms(algorithm: Any, batch: EpisodeBatch, blocks: list[list[int]], decay: float) -> dict[str, list[Any]]:
    """For each step and block: y, Q_tot, the network's Q_r, w_r and Q*."""
    found: dict[str, list[Any]] = {"y": [], "main": [], "residual": [], "weight": [], "star": []}
    for given in reference.episodes(batch):
        online, residual, central, target = (
            reference.unroll(network, given)
            for network in (
                algorithm.agent,
                algorithm.residual_agent,
                algorithm.optimal_value.agent,
                algorithm.optimal_value.target_agent,
            )
        )
        best = [reference.greedy(u, avail) for u, avail in zip(online, given.avail_actions, strict=True)]
        of_best = [
            reference.central(algorithm.optimal_value.target_mixer, reference.taken(u, a), s).tolist()
            for u, a, s in zip(target, best, given.state, strict=True)
        ]
        rewards = [float(r.sum()) for r in given.rewards]
        for block, agents in enumerate(blocks):
            values = [value[block] for value in of_best]
            found["y"] += reference.returns(rewards, values, bool(given.terminated[-1]), DISCOUNT, decay)
            for t, actions in enumerate(given.actions.tolist()):
                state, own = given.state[t], reference.taken(online[t], actions)[agents]
                found["main"].append(reference.qmix(algorithm.mixer, block, own, state))
                of_residual = reference.taken(residual[t], actions)
                found["residual"].append(reference.central(algorithm.residual_mixer, of_residual, state)[block])
                found["weight"].append(0.0 if all(actions[i] == best[t][i] for i in agents) else 1.0)
                of_central = reference.taken(central[t], actions)
                found["star"].append(reference.central(algorithm.optimal_value.mixer, of_central, state)[block])
    return found


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


@pytest.mark.parametrize("blocks", [FULL, PAIRS], ids=["full", "pairs"])
@pytest.mark.parametrize("mode", [NEG_ABS, PENALTY, OFFICIAL], ids=["neg_abs", "penalty", "official"])
def test_loss_and_gradients_equal_plain_loops(mode: list[str], blocks: list[list[int]]) -> None:
    """Gradients too: w_r and the targets are constants."""
    profile, decay = (ONE_STEP, 0.0) if blocks == FULL else (LAMBDA, 0.6)
    partition = "partition=full" if blocks == FULL else "partition=pairs"
    algorithm, batch = scrambled(profile, partition, *mode), ragged()
    terms = plain_terms(algorithm, batch, blocks, decay)
    assert 0 < sum(terms["weight"]) < len(terms["weight"])
    assert any(r > 0 for r in terms["residual"])
    assert any(r < 0 for r in terms["residual"])
    expected = torch.zeros(())
    for y, main, residual, weight, star in zip(*terms.values(), strict=True):
        used = -abs(residual) if mode is NEG_ABS else residual
        expected = expected + (main + weight * used - y) ** 2 + (star - y) ** 2
        if mode is PENALTY and residual > 0:
            expected = expected + residual**2
    expected = expected / int(batch.valid.sum())

    loss, metrics = loss_of(algorithm, batch)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)
    assert bool(metrics["residual_loss"] > 0) == (mode is PENALTY)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    for part in (
        "agent.",
        "mixer.",
        "residual_agent.",
        "residual_mixer.",
        "optimal_value.agent.",
        "optimal_value.mixer.",
    ):
        assert max(float(g.abs().max()) for name, g in wanted.items() if name.startswith(part)) > 1e-3


def test_the_residual_agents_start_equal_to_the_main_ones_and_go_their_own_way() -> None:
    algorithm = build("algo=resq", spec=SPEC)
    pairs = list(zip(algorithm.agent.parameters(), algorithm.residual_agent.parameters(), strict=True))
    assert all(torch.equal(main, residual) for main, residual in pairs)
    assert not torch.equal(algorithm.agent.input.weight, algorithm.optimal_value.agent.input.weight)
    [owned] = algorithm.trained().values()
    optimizer = torch.optim.SGD(owned.parameters, lr=0.1)
    loss_of(algorithm, ragged())[0].backward()
    optimizer.step()
    assert not any(torch.equal(main, residual) for main, residual in pairs)


def test_published_sizes() -> None:
    """Three hidden layers of 128 in the residual and the central mixer."""
    algorithm = build("algo=resq", spec=SPEC)
    for mixer in (algorithm.residual_mixer, algorithm.optimal_value.mixer):
        shapes = [layer.weight.shape for layer in mixer.mlp[::2]]
        assert shapes == [(128, 4 + 6), (128, 128), (128, 128), (1, 128)]


@pytest.mark.parametrize("partition", ["full", "pairs"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_no_joint_action_is_better_than_the_agents_own_best(partition: str, seed: int) -> None:
    """Brute force over all joint actions; a residual without its sign breaks the promise."""
    broken = False
    for mode in (NEG_ABS, OFFICIAL):
        algorithm, batch = scrambled(f"partition={partition}", *mode, seed=seed), ragged(seed)
        with torch.no_grad():
            algorithm.residual_mixer.v[-1].bias.add_(100.0)  # the network says that other actions are better
        learned, avail = algorithm.joint_value_view(batch), batch.avail_actions[:, :-1]
        greedy = greedy_actions(learned.utilities, avail)
        of_greedy = learned.joint_value(greedy)
        for joint in itertools.product(range(2), repeat=4):
            actions = torch.tensor(joint).expand_as(greedy)
            possible = avail.gather(-1, actions.unsqueeze(-1)).squeeze(-1).all(-1) & batch.valid
            better = ((learned.joint_value(actions) - of_greedy)[possible] > 1e-12).any()
            assert not (better and mode is NEG_ABS)
            broken |= bool(better)
    assert broken


@pytest.mark.parametrize("partition", ["full", "pairs"])
def test_greedy_actions_do_not_train_the_residual(partition: str) -> None:
    algorithm = scrambled("agent=feedforward", f"partition={partition}")  # what is taken does not change what is greedy
    batch = ragged()
    greedy = greedy_actions(algorithm.joint_value_view(batch).utilities, batch.avail_actions[:, :-1])
    found = gradients(algorithm, loss_of(algorithm, batch._replace(actions=greedy))[0])
    for name, gradient in found.items():
        assert bool(gradient.any()) != (name.startswith("residual") or "target_" in name), name
    other = greedy.clone()
    other[:, :, 0] = torch.where(batch.avail_actions[:, :-1, 0].all(-1), 1 - greedy[:, :, 0], greedy[:, :, 0])
    found = gradients(algorithm, loss_of(algorithm, batch._replace(actions=other))[0])
    learns = found["residual_mixer.mlp.6.bias"]  # one per block: agent 0 belongs to the first
    assert learns[0] != 0
    assert not learns[1:].any()


def test_the_residual_penalty_by_hand() -> None:
    """A residual network that says 3 everywhere: 3² per step with the penalty, nothing otherwise."""
    batch = ragged()
    for mode, expected in [(NEG_ABS, 0.0), (PENALTY, 9.0), (OFFICIAL, 0.0)]:
        algorithm = scrambled(*mode)
        with torch.no_grad():
            for layer in (algorithm.residual_mixer.mlp[-1], algorithm.residual_mixer.v[-1]):
                layer.weight.zero_()
                layer.bias.zero_()
            algorithm.residual_mixer.v[-1].bias.fill_(3.0)
        metrics = loss_of(algorithm, batch)[1]
        torch.testing.assert_close(metrics["residual_loss"], torch.tensor(expected, dtype=torch.float64))
        terms = plain_terms(algorithm, batch, FULL, 0.0)
        share = sum(terms["weight"]) / len(terms["weight"])
        used = -3.0 if mode is NEG_ABS else 3.0
        torch.testing.assert_close(metrics["residual"], torch.tensor(used * share, dtype=torch.float64))


@pytest.mark.parametrize("partition", ["full", "pairs"])
def test_what_diagnostics_see(partition: str) -> None:
    algorithm, batch = scrambled(f"partition={partition}"), ragged()
    learned, fit = algorithm.joint_value_view(batch), algorithm.predict(batch, algorithm.reward(batch))
    for tensor in (learned.utilities, learned.joint_value(batch.actions), learned.slopes(), learned.block_gradients()):
        assert not tensor.requires_grad
    values = (fit.main + fit.residual_weight * fit.residual).sum(-1).detach()
    torch.testing.assert_close(learned.joint_value(batch.actions), values)
    assert not learned.optimal_value(batch.actions).requires_grad
    torch.testing.assert_close(learned.optimal_value(batch.actions), fit.optimal_values.sum(-1).detach())
    norms = []
    for block in range(fit.main.shape[-1]):
        half_squares = 0.5 * (fit.td_error[batch.valid][:, block] ** 2).sum()
        (pull,) = torch.autograd.grad(half_squares, fit.utilities, retain_graph=True)
        norms.append(pull.norm())
    torch.testing.assert_close(learned.block_gradients(), torch.stack(norms))
    assert (learned.slopes()[batch.valid] >= 0).all()
    assert learned.reads.tolist() == ([[True] * 4] if partition == "full" else [[1, 1, 0, 0], [0, 0, 1, 1]])


def test_the_soft_penalty_pulls_on_the_main_value() -> None:
    algorithm, batch = scrambled("monotonicity=soft"), ragged()
    loss, metrics = loss_of(algorithm, batch)
    slopes = algorithm.mixer.slopes(
        algorithm.predict(batch, algorithm.reward(batch)).utilities.detach(), batch.state[:, :-1]
    )
    expected = 0.5 * torch.relu(-slopes[batch.valid]).sum() / batch.valid.sum()
    assert expected > 1e-3
    torch.testing.assert_close(metrics["penalty"], expected.detach())
    rest = metrics["td_loss"] + metrics["central_loss"] + metrics["residual_loss"]
    torch.testing.assert_close(loss.detach(), 0.5 * rest + metrics["penalty"])


def test_episodes_add_up_to_the_batch() -> None:
    algorithm, batch = scrambled(LAMBDA, *PENALTY), ragged()
    whole, _ = loss_of(algorithm, batch)
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(whole, weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("mode", [NEG_ABS, PENALTY], ids=["neg_abs", "penalty"])
def test_padding_never_matters(mode: list[str]) -> None:
    algorithm, batch = scrambled(LAMBDA, *mode), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, metrics), (dirty, _) = loss_of(algorithm, batch), loss_of(algorithm, garbage)
    assert clean.isfinite()
    assert all(value.isfinite() for value in metrics.values())
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


def test_targets_are_copies_of_the_central_networks() -> None:
    algorithm, batch = scrambled(), ragged()
    loss_of(algorithm, batch)[0].backward()
    pairs = [
        (algorithm.optimal_value.agent, algorithm.optimal_value.target_agent),
        (algorithm.optimal_value.mixer, algorithm.optimal_value.target_mixer),
    ]
    for _, target in pairs:
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in target.parameters())
    assert not any(torch.equal(a, b) for o, t in pairs for a, b in zip(o.parameters(), t.parameters(), strict=True))
    algorithm.sync_targets()
    for online, target in pairs:
        assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))


@pytest.mark.parametrize("projection", ["optimistic", "central", "qpro"])
def test_projection_weights_are_refused(projection: str) -> None:
    with pytest.raises(UserError, match="projection=uniform"):
        build("algo=resq", f"projection={projection}", spec=SPEC)
