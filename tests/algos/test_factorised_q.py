"""IQL, VDN, QMIX and LOMAQ against losses computed in plain loops."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.envs import graphs
from marlpipe.types import EnvSpec, EpisodeBatch
from tests.support import reference
from tests.support.composition import build, loss_of
from tests.support.synthetic import episode, make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec()
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"  # γ = 0.99; loss factors 1 and 0.5, λ of 0 and 0.6
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
ALGORITHMS = ["iql", "iql_local", "vdn", "qmix", "lomaq"]


def ragged(spec: EnvSpec = SPEC, seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        spec, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def mixed(algo: str, mixer: Any, spec: EnvSpec, utilities: Tensor, state: Tensor) -> list[Tensor]:
    """What a step's utilities are worth, per block."""
    if algo in ("iql", "iql_local"):
        return list(utilities)
    if algo == "vdn":
        return [sum(utilities, torch.zeros(()))]
    if algo == "qmix":
        return [reference.qmix(mixer, 0, utilities, state)]
    reads = [reference.within(spec.graph, [agent], 1) for agent in range(spec.n_agents)]
    return [reference.lomaq(mixer, agent, utilities[read]) for agent, read in enumerate(reads)]


def plain_loss(algo: str, profile: str, algorithm: Any, batch: EpisodeBatch, spec: EnvSpec = SPEC) -> Tensor:
    decay, factor = (0.0, 1.0) if profile == ONE_STEP else (0.6, 0.5)
    errors: list[list[Tensor]] = []  # per step, per block
    for given in reference.episodes(batch):
        online = reference.unroll(algorithm.agent, given)
        target = reference.unroll(algorithm.target_agent, given)
        best = [reference.greedy(u, avail) for u, avail in zip(online, given.avail_actions, strict=True)]
        next_values = [
            mixed(algo, algorithm.target_mixer, spec, reference.taken(u, a), s)
            for u, a, s in zip(target, best, given.state, strict=True)
        ]
        blocks = len(next_values[0])
        for t in range(len(given.actions)):
            values = mixed(algo, algorithm.mixer, spec, reference.taken(online[t], given.actions[t]), given.state[t])
            errors.append([])
            for block, value in enumerate(values):
                local = algo in ("iql_local", "lomaq")
                rewards = [float(r[block] if local else r.sum()) for r in given.rewards]
                y = reference.returns(
                    rewards, [float(v[block]) for v in next_values], bool(given.terminated[-1]), DISCOUNT, decay
                )
                errors[-1].append((value - y[t]) ** 2)
        assert blocks == len(errors[-1])
    per_step = [sum(error, torch.zeros(())) / (len(error) if algo == "iql" else 1) for error in errors]
    return factor * sum(per_step, torch.zeros(())) / len(per_step)


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


def scrambled(algo: str, profile: str = ONE_STEP, *overrides: str, spec: EnvSpec = SPEC) -> Any:
    algorithm = build(f"algo={algo}", profile, *overrides, spec=spec)
    scramble(algorithm)
    return algorithm


@pytest.mark.parametrize("profile", [ONE_STEP, LAMBDA])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_loss_and_gradients_equal_plain_loops(algo: str, profile: str) -> None:
    algorithm, batch = scrambled(algo, profile), ragged()
    loss, metrics = loss_of(algorithm, batch)
    expected = plain_loss(algo, profile, algorithm, batch)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(metrics["td_loss"], expected.detach(), atol=1e-9, rtol=1e-9)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-7, msg=lambda text, n=name: f"{n}: {text}")
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_episodes_add_up_to_the_batch(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()
    whole, _ = loss_of(algorithm, batch)
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(whole, weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("override", ["monotonicity=abs", "monotonicity=soft", "monotonicity=hard"])
@pytest.mark.parametrize("algo", ["qmix", "lomaq"])
def test_padding_never_matters(algo: str, override: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA, override), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, _), (dirty, _) = (
        loss_of(algorithm, batch),
        loss_of(algorithm, garbage),
    )
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_longer_padding_changes_nothing(algo: str) -> None:
    algorithm, batch = scrambled(algo, LAMBDA), ragged()

    def longer(field: Tensor) -> Tensor:
        return torch.cat([field, torch.zeros_like(field[:, :2])], dim=1)

    torch.testing.assert_close(
        loss_of(algorithm, batch.map(longer))[0],
        loss_of(algorithm, batch)[0],
        atol=1e-12,
        rtol=1e-12,
    )


def copy_parameters(source: Any, to: Any) -> None:
    for part in ("agent", "target_agent"):
        getattr(to, part).load_state_dict(getattr(source, part).state_dict())


def test_lomaq_with_identity_mixers_is_iql_local() -> None:
    """κ = 0 and a network that returns its input: one path of weights 1, raised so far that ELU is the identity."""
    spec, batch = make_spec(), ragged()
    local = scrambled("iql_local")
    algorithm = scrambled("lomaq", ONE_STEP, "mixer.hops=0", "mixer.hidden=1")
    copy_parameters(local, algorithm)
    for mixer in (algorithm.mixer, algorithm.target_mixer):
        with torch.no_grad():
            for theta in mixer.theta:
                theta.fill_(1.0)
            for bias, offset in zip(mixer.bias, (1e3, 0.0, -1e3), strict=True):
                bias.fill_(offset)
    torch.testing.assert_close(
        loss_of(algorithm, batch)[0],
        loss_of(local, batch)[0],
        atol=1e-8,
        rtol=1e-10,
    )
    assert algorithm.mixer(torch.zeros(1, 1, spec.n_agents).double(), batch.state[:1, :1]).abs().max() < 1e-9


def test_iql_is_a_mean_and_iql_local_a_sum_over_agents() -> None:
    """With the team reward in both, they differ by the number of agents alone."""
    mean, total = scrambled("iql"), scrambled("iql_local", ONE_STEP, "reward=team")
    copy_parameters(mean, total)
    batch = ragged()
    torch.testing.assert_close(
        loss_of(total, batch)[0],
        SPEC.n_agents * loss_of(mean, batch)[0],
        atol=1e-9,
        rtol=1e-9,
    )


def test_vdn_with_one_agent_is_iql() -> None:
    spec = make_spec(n_agents=1, graph=graphs.line(1))
    vdn, iql = scrambled("vdn", spec=spec), scrambled("iql", spec=spec)
    copy_parameters(vdn, iql)
    batch = ragged(spec)
    torch.testing.assert_close(loss_of(vdn, batch)[0], loss_of(iql, batch)[0], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("algo", ["vdn", "qmix", "lomaq"])
def test_targets_get_no_gradient_and_are_constants(algo: str) -> None:
    algorithm, batch = scrambled(algo), ragged()
    loss_of(algorithm, batch)[0].backward()
    for module in (algorithm.target_agent, algorithm.target_mixer):
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in module.parameters())
    assert all(parameter.grad is not None for parameter in algorithm.agent.parameters())


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_syncing_copies_what_the_targets_are_made_of(algo: str) -> None:
    algorithm = scrambled(algo)

    def differences() -> float:
        pairs = [(algorithm.agent, algorithm.target_agent), (algorithm.mixer, algorithm.target_mixer)]
        return sum(
            float((a - b).detach().abs().sum())
            for online, target in pairs
            for a, b in zip(online.parameters(), target.parameters(), strict=True)
        )

    assert differences() > 0
    algorithm.sync_targets()
    assert differences() == 0
    with torch.no_grad():
        next(algorithm.agent.parameters()).add_(1.0)
    assert differences() > 0  # a copy, not the same tensors


def recorded(algorithm: Any) -> dict[str, Any]:
    """The context that the projection gets; its weights are ones."""
    seen: dict[str, Any] = {}

    class Spy:
        needs_optimal_values = False

        def __call__(self, values: Tensor, context: Any) -> Tensor:
            seen["context"] = context()
            return torch.ones_like(values)

    algorithm.projection = Spy()
    return seen


def test_the_projection_gets_its_context() -> None:
    algorithm, batch = scrambled("qmix"), ragged()
    seen = recorded(algorithm)
    loss_of(algorithm, batch)
    context = seen["context"]
    assert not context.values.requires_grad
    assert not context.targets.requires_grad
    assert not context.utilities.requires_grad
    for index, given in enumerate(reference.episodes(batch)):
        online = reference.unroll(algorithm.agent, given)
        for t in range(len(given.actions)):
            alike = reference.greedy(online[t], given.avail_actions[t]) == given.actions[t].tolist()
            assert bool(context.is_greedy[index, t, 0]) == alike
            inputs = reference.taken(online[t], given.actions[t]).detach().requires_grad_()
            (slopes,) = torch.autograd.grad(reference.qmix(algorithm.mixer, 0, inputs, given.state[t]), inputs)
            torch.testing.assert_close(context.slopes()[index, t, 0], slopes, atol=1e-9, rtol=1e-7)


def coarse_rewards(rewards: Tensor) -> Tensor:
    return torch.stack([rewards[..., 0] + rewards[..., 1], rewards[..., 2]], dim=-1)


def test_a_block_is_paid_the_sum_of_its_agents() -> None:
    algorithm, batch = scrambled("lomaq", ONE_STEP, "partition=pairs"), ragged()
    seen = recorded(algorithm)
    loss_of(algorithm, batch)
    ends = batch.terminated.unsqueeze(-1) & batch.valid.unsqueeze(-1)
    targets = seen["context"].targets[ends.expand(-1, -1, 2)]
    torch.testing.assert_close(targets, coarse_rewards(batch.rewards)[ends.expand(-1, -1, 2)])


@pytest.mark.parametrize("algo", ["qmix", "lomaq", "iql"])
def test_projection_weights_multiply_the_squared_errors(algo: str) -> None:
    """Optimistic weighting without Q*, also per block: α where the value is not below its target."""
    algorithm, batch = scrambled(algo, ONE_STEP, "projection=optimistic", "projection.alpha=0.25"), ragged()
    weight = algorithm.projection
    seen = recorded(algorithm)
    loss_of(algorithm, batch)
    context = seen["context"]
    errors = (context.values - context.targets) ** 2
    weighted = torch.where(context.values < context.targets, 1.0, 0.25) * errors
    per_step = weighted.mean(-1) if algo == "iql" else weighted.sum(-1)
    algorithm.projection = weight
    torch.testing.assert_close(
        loss_of(algorithm, batch)[0].detach(), per_step[batch.valid].mean(), atol=1e-7, rtol=1e-7
    )


@pytest.mark.parametrize("coefficient", [0.5, 0.2])
@pytest.mark.parametrize("form", ["convex", "additive"])
def test_the_soft_penalty_is_beside_the_loss(form: str, coefficient: float) -> None:
    algorithm = scrambled(
        "lomaq",
        ONE_STEP,
        "monotonicity=soft",
        f"monotonicity.penalty.form={form}",
        f"monotonicity.penalty.coefficient={coefficient}",
    )
    loss, metrics = loss_of(algorithm, ragged())
    share = 1 - coefficient if form == "convex" else 1.0
    assert metrics["penalty"] > 0
    torch.testing.assert_close(loss.detach(), share * metrics["td_loss"] + metrics["penalty"])
