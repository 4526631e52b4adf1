"""QPLEX against its equations in plain loops, and what it promises: the agents' own best actions are the best ones."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.models.utilities import greedy_actions
from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.composition import build, loss_of
from tests.support.synthetic import episode, make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec()
TWO = make_spec(n_agents=2, n_actions=3)
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"  # loss factors 1 and 0.5, λ of 0 and 0.6
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
LARGE = ["loss.duplex.heads=10", "loss.duplex.attention_layers=3"]
SMALL = ["loss.duplex.heads=2", "loss.duplex.attention_layers=1"]


def ragged(spec: Any = SPEC, seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        spec, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def scrambled(*overrides: str, spec: Any = SPEC, seed: int = 0) -> Any:
    algorithm = build("algo=qplex", *overrides, spec=spec, seed=seed)
    scramble(algorithm, seed=seed)
    return algorithm


def head(network: Any, k: int, x: Tensor) -> Tensor:
    """One of the networks that run side by side, layer by layer."""
    width = network.first.out_features // network.heads
    rows = slice(k * width, (k + 1) * width)
    x = F.linear(x, network.first.weight[rows], network.first.bias[rows])
    for affine in list(network.later)[1::2]:
        x = F.relu(x) @ affine.weight[k] + affine.bias[k]
    return x


def importance(mixer: Any, state: Tensor, actions: list[int], n_actions: int) -> list[Tensor]:
    """λ_i = Σ_k (|key_k(s)| + 1e-10) σ(agent_k(s))_i σ(action_k(s, a))_i."""
    taken = torch.zeros(len(actions), n_actions, dtype=state.dtype)
    for agent, action in enumerate(actions):
        taken[agent, action] = 1
    found = [torch.zeros((), dtype=state.dtype) for _ in actions]
    for k in range(mixer.key.heads):
        key = head(mixer.key, k, state).abs() + 1e-10
        of_agent = torch.sigmoid(head(mixer.agent, k, state))
        of_action = torch.sigmoid(head(mixer.action, k, torch.cat([state, taken.flatten()])))
        found = [lam + key.squeeze() * of_agent[i] * of_action[i] for i, lam in enumerate(found)]
    return found


def q_tot(mixer: Any, utilities: Tensor, avail: Tensor, actions: list[int], state: Tensor) -> Tensor:
    """Σ_i q̃_i + Σ_i (λ_i − 1) sg[q̃_i − m̃_i] of one vector of utilities per agent."""
    w = (mixer.w[2](F.relu(mixer.w[0](state)))).abs() + 1e-10
    v = mixer.v[2](F.relu(mixer.v[0](state)))
    lam = importance(mixer, state, actions, utilities.shape[1])
    best = reference.greedy(utilities, avail)
    total = torch.zeros(())
    for i, action in enumerate(actions):
        q, m = w[i] * utilities[i, action] + v[i], w[i] * utilities[i, best[i]] + v[i]
        total = total + q + (lam[i] - 1) * (q - m).detach()
    return total


def plain_loss(algorithm: Any, batch: EpisodeBatch, decay: float, factor: float) -> Tensor:
    total, steps = torch.zeros(()), 0
    for given in reference.episodes(batch):
        online = reference.unroll(algorithm.agent, given)
        target = [u.detach() for u in reference.unroll(algorithm.target_agent, given)]
        values = [
            float(q_tot(algorithm.target_mixer, of_target, avail, reference.greedy(u, avail), state))
            for u, of_target, avail, state in zip(online, target, given.avail_actions, given.state, strict=True)
        ]
        rewards = [float(r.sum()) for r in given.rewards]
        y = reference.returns(rewards, values, bool(given.terminated[-1]), DISCOUNT, decay)
        for t, actions in enumerate(given.actions.tolist()):
            value = q_tot(algorithm.mixer, online[t], given.avail_actions[t], actions, given.state[t])
            total, steps = total + (value - y[t]) ** 2, steps + 1
    return factor * total / steps


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


@pytest.mark.parametrize("shape", [[], LARGE, SMALL], ids=["default", "large", "small"])
def test_loss_and_gradients_equal_plain_loops(shape: list[str]) -> None:
    """Gradients too: the advantage and the targets are constants."""
    profile, decay, factor = (ONE_STEP, 0.0, 1.0) if shape else (LAMBDA, 0.6, 0.5)
    algorithm, batch = scrambled(profile, *shape), ragged()
    loss, metrics = loss_of(algorithm, batch)
    expected = plain_loss(algorithm, batch, decay, factor)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(metrics["td_loss"], expected.detach(), atol=1e-8, rtol=1e-8)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    for part in ("agent.output", "mixer.w", "mixer.v", "mixer.key", "mixer.agent", "mixer.action"):
        assert max(float(g.abs().max()) for name, g in wanted.items() if name.startswith(part)) > 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_no_joint_action_is_better_than_the_agents_own_best(seed: int) -> None:
    """Brute force over all joint actions of two agents with three actions; unavailable ones do not count."""
    algorithm, batch = scrambled(spec=TWO, seed=seed), ragged(TWO, seed)
    learned, avail = algorithm.joint_value_view(batch), batch.avail_actions[:, :-1]
    greedy = greedy_actions(learned.utilities, avail)
    assert (learned.utilities.argmax(-1) != greedy)[batch.valid].any()  # some better actions are not available
    of_greedy = learned.joint_value(greedy)
    spread = torch.zeros(())
    for joint in itertools.product(range(3), repeat=2):
        actions = torch.tensor(joint).expand_as(greedy)
        possible = avail.gather(-1, actions.unsqueeze(-1)).squeeze(-1).all(-1) & batch.valid
        other = possible & (actions != greedy).any(-1)
        gap = (of_greedy - learned.joint_value(actions))[other]
        assert (gap > 0).all()
        spread = torch.maximum(spread, gap.max())
    assert spread > 0.1


def test_greedy_actions_have_no_advantage_and_do_not_train_importance() -> None:
    algorithm = scrambled("agent=feedforward")  # without last actions: what is taken does not change what is greedy
    batch = ragged()
    batch = batch._replace(
        actions=greedy_actions(algorithm.joint_value_view(batch).utilities, batch.avail_actions[:, :-1])
    )
    loss, metrics = loss_of(algorithm, batch)
    assert float(metrics["advantage"]) == 0
    for name, gradient in gradients(algorithm, loss).items():
        if name.startswith(("mixer.key", "mixer.agent", "mixer.action")):
            assert not gradient.any(), name
        elif name.startswith(("mixer.w", "mixer.v", "agent.")):
            assert gradient.any(), name


def test_the_soft_penalty_is_of_the_slopes_of_the_value() -> None:
    """½ L + ½ mean Σ_i ReLU(−w_i λ_i), with w and λ of any sign."""
    algorithm, batch = scrambled("monotonicity=soft"), ragged()
    loss, metrics = loss_of(algorithm, batch)
    slopes, steps = [], 0
    for given in reference.episodes(batch):
        for t, actions in enumerate(given.actions.tolist()):
            mixer, state = algorithm.mixer, given.state[t]
            w = mixer.w[2](F.relu(mixer.w[0](state))) + 1e-10
            signed = [head(mixer.key, k, state) + 1e-10 for k in range(4)]
            joint = torch.cat([state, F.one_hot(torch.tensor(actions), 4).flatten().to(state)])
            lam = sum(
                key * head(mixer.agent, k, state).sigmoid() * head(mixer.action, k, joint).sigmoid()
                for k, key in enumerate(signed)
            )
            slopes.append(w * lam)
            steps += 1
    penalty = 0.5 * sum((F.relu(-slope).sum() for slope in slopes), torch.zeros(())) / steps
    assert penalty > 1e-3
    torch.testing.assert_close(metrics["penalty"], penalty.detach())
    torch.testing.assert_close(loss.detach(), 0.5 * metrics["td_loss"] + metrics["penalty"])
    found = torch.autograd.grad(loss, algorithm.mixer.key.first.weight, retain_graph=True)[0]
    of_values = torch.autograd.grad(
        0.5 * algorithm.predict(batch, algorithm.reward(batch)).td_error.square().sum() / steps,
        algorithm.mixer.key.first.weight,
    )[0]
    of_penalty = torch.autograd.grad(penalty, algorithm.mixer.key.first.weight)[0]
    torch.testing.assert_close(found, of_values + of_penalty)
    assert of_penalty.any()


def test_what_diagnostics_see() -> None:
    """The value of what was taken, its slopes at fixed maxima, and the loss's own pull on the utilities."""
    algorithm, batch = scrambled(), ragged()
    learned, fit = algorithm.joint_value_view(batch), algorithm.predict(batch, algorithm.reward(batch))
    for tensor in (learned.utilities, learned.joint_value(batch.actions), learned.slopes(), learned.block_gradients()):
        assert not tensor.requires_grad
    torch.testing.assert_close(learned.joint_value(batch.actions), fit.values.detach())
    inputs = fit.utilities.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(fit.duplex.dueling_value(inputs, fit.best).sum(), inputs)
    torch.testing.assert_close(learned.slopes(), slopes.unsqueeze(-2))
    assert (learned.slopes()[batch.valid] > 0).all()
    half_squares = 0.5 * (fit.td_error[batch.valid] ** 2).sum()
    (pull,) = torch.autograd.grad(half_squares, fit.utilities)
    torch.testing.assert_close(learned.block_gradients(), pull.norm().unsqueeze(0))
    assert learned.reads.tolist() == [[True] * 3]
    assert learned.optimal_value is None


def test_episodes_add_up_to_the_batch() -> None:
    algorithm, batch = scrambled(LAMBDA), ragged()
    whole, _ = loss_of(algorithm, batch)
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(whole, weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("monotonicity", ["abs", "soft"])
def test_padding_never_matters(monotonicity: str) -> None:
    algorithm, batch = scrambled(LAMBDA, f"monotonicity={monotonicity}"), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, metrics), (dirty, _) = loss_of(algorithm, batch), loss_of(algorithm, garbage)
    assert clean.isfinite()
    assert all(value.isfinite() for value in metrics.values())
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


def test_targets_are_copies_without_gradient() -> None:
    algorithm, batch = scrambled(), ragged()
    loss_of(algorithm, batch)[0].backward()
    pairs = [(algorithm.agent, algorithm.target_agent), (algorithm.mixer, algorithm.target_mixer)]
    for _, target in pairs:
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in target.parameters())
    assert not any(torch.equal(a, b) for o, t in pairs for a, b in zip(o.parameters(), t.parameters(), strict=True))
    algorithm.sync_targets()
    for online, target in pairs:
        assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("partition=pairs", "partition=full"),
        ("mixer=qmix", "mixer=builtin"),
        ("projection=optimistic", "projection=uniform"),
        ("monotonicity=projected", "generated"),
    ],
)
def test_what_does_not_fit_is_refused(override: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        build("algo=qplex", override, spec=SPEC)
