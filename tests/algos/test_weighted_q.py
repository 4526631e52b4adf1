"""OW-QMIX, CW-QMIX and QPro against losses computed in plain loops."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.composition import build, loss_of
from tests.support.synthetic import episode, make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec()
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"  # central loss factors 1 and 0.5, λ of 0 and 0.6
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
ALGORITHMS = ["ow_qmix", "cw_qmix", "qpro"]


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def plain_steps(algorithm: Any, batch: EpisodeBatch, decay: float) -> list[dict[str, Any]]:
    """All that weights and losses are made of, for every step of every episode."""
    steps = []
    for given in reference.episodes(batch):
        online = reference.unroll(algorithm.agent, given)
        unrestricted = reference.unroll(algorithm.optimal_value.agent, given)
        target = [u.detach() for u in reference.unroll(algorithm.optimal_value.target_agent, given)]
        best = [reference.greedy(u, avail) for u, avail in zip(online, given.avail_actions, strict=True)]
        star_of_best = [
            float(reference.central(algorithm.optimal_value.target_mixer, reference.taken(u, a), s))
            for u, a, s in zip(target, best, given.state, strict=True)
        ]
        rewards = [float(r.sum()) for r in given.rewards]
        y = reference.returns(rewards, star_of_best, bool(given.terminated[-1]), DISCOUNT, decay)
        for t in range(len(given.actions)):
            actions, state = given.actions[t], given.state[t]
            inputs = reference.taken(online[t], actions)
            probed = inputs.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(reference.qmix(algorithm.mixer, 0, probed, state), probed)
            policy = []
            for agent, action in enumerate(actions.tolist()):
                choices = [a for a in range(SPEC.n_actions) if given.avail_actions[t, agent, a]]
                exponents = {a: float(online[t][agent, a].detach().exp()) for a in choices}
                policy.append(exponents[action] / sum(exponents.values()))
            q_tot = reference.qmix(algorithm.mixer, 0, inputs, state)
            steps.append(
                {
                    "y": y[t],
                    "q_tot": q_tot,
                    "q": float(q_tot.detach()),
                    "q_central": reference.central(
                        algorithm.optimal_value.mixer, reference.taken(unrestricted[t], actions), state
                    ).squeeze(),
                    "q_star": float(
                        reference.central(
                            algorithm.optimal_value.target_mixer, reference.taken(target[t], actions), state
                        ).detach()
                    ),
                    "star_of_best": star_of_best[t],
                    "is_greedy": best[t] == actions.tolist(),
                    "slopes": slopes.tolist(),
                    "policy": policy,
                }
            )
    return steps


def plain_weights(algo: str, steps: list[dict[str, Any]], projection: Any) -> list[float]:
    if algo == "qpro":
        return reference.regret_weights(steps, projection)
    alpha = float(torch.tensor(projection.alpha))
    if algo == "ow_qmix":
        return [1.0 if step["y"] > step["q"] else alpha for step in steps]
    return [1.0 if step["is_greedy"] or step["y"] > step["star_of_best"] else alpha for step in steps]


def plain_loss(algo: str, profile: str, algorithm: Any, batch: EpisodeBatch) -> Tensor:
    decay, central_factor = (0.0, 1.0) if profile == ONE_STEP else (0.6, 0.5)
    steps = plain_steps(algorithm, batch, decay)
    weights = plain_weights(algo, steps, algorithm.projection)
    assert len(set(weights)) > 1
    total = torch.zeros(())
    for step, weight in zip(steps, weights, strict=True):
        total = total + weight * (step["q_tot"] - step["y"]) ** 2
        total = total + central_factor * (step["q_central"] - step["y"]) ** 2
    return total / len(steps)


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


def scrambled(algo: str, profile: str = ONE_STEP, *overrides: str) -> Any:
    algorithm = build(f"algo={algo}", profile, *overrides, spec=SPEC)
    scramble(algorithm)
    return algorithm


@pytest.mark.parametrize("profile", [ONE_STEP, LAMBDA])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_loss_and_gradients_equal_plain_loops(algo: str, profile: str) -> None:
    """Gradients too, so the weights and the targets are constants."""
    algorithm, batch = scrambled(algo, profile), ragged()
    loss, _ = loss_of(algorithm, batch)
    expected = plain_loss(algo, profile, algorithm, batch)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())


@pytest.mark.parametrize("algo", ["ow_qmix", "cw_qmix"])
def test_with_alpha_of_one_the_projection_is_qmix(algo: str) -> None:
    """The agents and the mixer get the gradient of an unweighted squared error to the same targets."""
    algorithm, batch = scrambled(algo, ONE_STEP, "projection.alpha=1.0"), ragged()
    found = gradients(algorithm, loss_of(algorithm, batch)[0])
    steps = plain_steps(algorithm, batch, decay=0.0)
    plain = sum(((step["q_tot"] - step["y"]) ** 2 for step in steps), torch.zeros(())) / len(steps)
    wanted = gradients(algorithm, plain)
    names = [name for name in wanted if name.startswith(("agent.", "mixer."))]
    for name in names:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-8, rtol=1e-6)
    assert max(float(wanted[name].abs().max()) for name in names) > 1e-3


def test_half_the_loss_factor_halves_the_projection_only() -> None:
    whole, half = scrambled("ow_qmix"), scrambled("ow_qmix", ONE_STEP, "loss.loss_factor=0.5")
    batch = ragged()
    (_, one), (_, other) = loss_of(whole, batch), loss_of(half, batch)
    torch.testing.assert_close(other["td_loss"], 0.5 * one["td_loss"])
    torch.testing.assert_close(other["central_loss"], one["central_loss"])


def test_the_loss_is_the_sum_of_its_terms() -> None:
    loss, metrics = loss_of(scrambled("qpro", LAMBDA), ragged())
    torch.testing.assert_close(loss.detach(), metrics["td_loss"] + metrics["central_loss"])


@pytest.mark.parametrize("algo", ["ow_qmix", "cw_qmix"])
def test_episodes_add_up_to_the_batch(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()
    whole, _ = loss_of(algorithm, batch)
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(whole, weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_padding_never_matters(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()
    with torch.no_grad():
        algorithm.mixer.v.output.bias.sub_(3.0)  # Q_tot below the padding's targets of 0
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, _), (dirty, _) = (
        loss_of(algorithm, batch),
        loss_of(algorithm, garbage),
    )
    assert clean.isfinite()
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_targets_get_no_gradient(algo: str) -> None:
    algorithm, batch = scrambled(algo), ragged()
    loss_of(algorithm, batch)[0].backward()
    for module in (algorithm.optimal_value.target_agent, algorithm.optimal_value.target_mixer):
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in module.parameters())
    for module in (algorithm.agent, algorithm.mixer, algorithm.optimal_value.agent, algorithm.optimal_value.mixer):
        assert all(parameter.grad is not None for parameter in module.parameters())


def test_syncing_copies_the_central_networks() -> None:
    algorithm = scrambled("ow_qmix")
    algorithm.sync_targets()
    for online, target in [
        (algorithm.optimal_value.agent, algorithm.optimal_value.target_agent),
        (algorithm.optimal_value.mixer, algorithm.optimal_value.target_mixer),
    ]:
        assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))


def test_the_central_agent_is_a_network_of_its_own() -> None:
    algorithm = build("algo=qpro", spec=SPEC)
    assert not torch.equal(algorithm.agent.input.weight, algorithm.optimal_value.agent.input.weight)


def test_q_star_in_the_regret_weights_is_the_targets() -> None:
    """Moving the online central network moves no weight, moving the target network does."""
    algorithm, batch = scrambled("qpro"), ragged()

    def weight() -> float:
        return float(loss_of(algorithm, batch)[1]["projection_weight"])

    before = weight()
    scramble(algorithm.optimal_value.agent, seed=5)
    scramble(algorithm.optimal_value.mixer, seed=6)
    assert weight() == before
    scramble(algorithm.optimal_value.target_mixer, seed=7)
    assert weight() != before
