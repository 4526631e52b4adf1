"""GraphMIX's loss against plain loops over episodes, steps and agents."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos.graphmix import everyone, observing_or_able_to_act
from marlpipe.config.build import build_env
from marlpipe.envs.predator_prey import PredatorPrey
from marlpipe.errors import UserError
from marlpipe.models.monotonicity.jacobian import violation_rate
from marlpipe.types import EpisodeBatch
from tests.algos.plain_qtran import remembered
from tests.support import reference
from tests.support.composition import build, compose, draws, loss_of
from tests.support.plain_graph import plain_mixing
from tests.support.synthetic import episode, make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec()
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
SOME = "loss.alive.path=marlpipe.algos.graphmix.observing_or_able_to_act"


def ragged(seed: int = 0) -> EpisodeBatch:
    """Some agents see nothing and have one action, at single moments."""
    batch = ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )
    dead = torch.rand(batch.avail_actions.shape[:3], generator=torch.Generator().manual_seed(7)) < 0.3
    dead &= batch.filled.unsqueeze(-1)
    only_first = torch.zeros(SPEC.n_actions, dtype=torch.bool).index_fill(0, torch.tensor([0]), True)
    return batch._replace(
        obs=batch.obs.masked_fill(dead.unsqueeze(-1), 0.0),
        avail_actions=torch.where(dead.unsqueeze(-1), only_first, batch.avail_actions),
        actions=batch.actions.masked_fill(dead[:, :-1], 0),
    )


def scrambled(*overrides: str) -> Any:
    algorithm = build("algo=graphmix", *overrides, spec=SPEC)
    scramble(algorithm, scale=0.1)
    return algorithm


def is_alive(given: reference.Episode, t: int) -> Tensor:
    sees = [bool(given.obs[t, i].any()) for i in range(SPEC.n_agents)]
    chooses = [int(given.avail_actions[t, i].sum()) > 1 for i in range(SPEC.n_agents)]
    return torch.tensor([a or b for a, b in zip(sees, chooses, strict=True)])


def plain_terms(
    algorithm: Any, batch: EpisodeBatch, alive_at: Callable[[reference.Episode, int], Tensor], decay: float
) -> list[dict[str, Tensor]]:
    """The squared error of Q_tot, and the sum of the living agents' own, at every step of every episode."""
    terms = []
    for given in reference.episodes(batch):
        length, terminal = len(given.actions), bool(given.terminated[-1])
        q, h = remembered(algorithm.agent, given)
        q_target, h_target = remembered(algorithm.target_agent, given)
        best = [reference.greedy(u, avail) for u, avail in zip(q, given.avail_actions, strict=True)]
        next_q = [reference.taken(u, a).detach() for u, a in zip(q_target, best, strict=True)]
        next_values = [
            float(
                plain_mixing(algorithm.target_mixer, next_q[t], h_target[t], given.state[t], alive_at(given, t))[
                    0
                ].detach()
            )
            for t in range(length + 1)
        ]
        team = [float(r.sum()) for r in given.rewards]
        targets = reference.returns(team, next_values, terminal, DISCOUNT, decay)
        mixed = [
            plain_mixing(
                algorithm.mixer, reference.taken(q[t], given.actions[t]), h[t], given.state[t], alive_at(given, t)
            )
            for t in range(length)
        ]
        own_targets = []
        for i in range(SPEC.n_agents):
            share_rewards: list[Any] = [shares[i] * r for (_, shares), r in zip(mixed, team, strict=True)]
            own = [float(u[i]) for u in next_q]
            own_targets.append(reference.returns(share_rewards, own, terminal, DISCOUNT, decay))
        for t in range(length):
            local = torch.zeros((), dtype=torch.float64)
            for i in range(SPEC.n_agents):
                if alive_at(given, t)[i]:
                    local = local + (q[t][i, int(given.actions[t, i])] - own_targets[i][t]) ** 2
            terms.append({"td": (mixed[t][0] - targets[t]) ** 2, "local": local})
    return terms


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


@pytest.mark.parametrize("profile", [ONE_STEP, LAMBDA])
@pytest.mark.parametrize("alive", ["everyone", "some"])
def test_loss_and_gradients_equal_plain_loops(profile: str, alive: str) -> None:
    """Gradients too: the shares and the features of attention learn, bootstraps of both targets are constants."""
    algorithm = scrambled(profile, "loss.local_factor=0.75", *([SOME] if alive == "some" else []))
    batch = ragged()
    alive_at = is_alive if alive == "some" else (lambda _, t: torch.ones(SPEC.n_agents, dtype=torch.bool))  # noqa: ARG005
    terms = plain_terms(algorithm, batch, alive_at, 0.0 if profile == ONE_STEP else 0.6)
    expected = torch.stack([term["td"] + 0.75 * term["local"] for term in terms]).mean()
    loss, _ = loss_of(algorithm, batch)
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)
    found, wanted = gradients(algorithm, loss), gradients(algorithm, expected)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-8, rtol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    for part in ("agent.cell", "mixer.encoder", "mixer.query", "mixer.key", "mixer.w_share", "mixer.w1"):
        assert max(float(gradient.abs().max()) for name, gradient in wanted.items() if name.startswith(part)) > 1e-5


def test_the_share_learns_from_the_local_loss_alone() -> None:
    batch = ragged()
    td_only = scrambled("loss.local_factor=0.0")
    of_td = gradients(td_only, loss_of(td_only, batch)[0])
    assert not any(gradient.any() for name, gradient in of_td.items() if name.startswith("mixer.w_share"))
    assert all(gradient.any() for name, gradient in of_td.items() if name.startswith(("mixer.w_out", "mixer.query")))
    both = scrambled()
    of_both = gradients(both, loss_of(both, batch)[0])
    assert all(gradient.any() for name, gradient in of_both.items() if name.startswith(("mixer.w_share", "agent.")))
    assert not any(gradient.any() for name, gradient in of_both.items() if name.startswith("target_"))


def test_the_local_factor_acts_on_its_own_term() -> None:
    batch = ragged()
    (loss, once), (_, thrice) = (loss_of(scrambled(*o), batch) for o in ([], ["loss.local_factor=3.0"]))
    torch.testing.assert_close(thrice["local_loss"], 3 * once["local_loss"])
    assert torch.equal(thrice["td_loss"], once["td_loss"])
    torch.testing.assert_close(loss.detach(), once["td_loss"] + once["local_loss"])


def test_attention_of_the_target_reads_the_target_agents() -> None:
    """With equal utilities of online and target, other features alone must move the target."""
    algorithm, batch = scrambled(), ragged()
    before = loss_of(algorithm, batch)[1]["target"]
    scramble(algorithm.target_mixer.encoder, seed=4)
    moved = loss_of(algorithm, batch)[1]["target"]
    assert moved != before
    scramble(algorithm.mixer.encoder, seed=5)
    assert loss_of(algorithm, batch)[1]["target"] == moved


def test_a_soft_penalty_pulls_slopes_up() -> None:
    algorithm, batch = scrambled("monotonicity=soft"), ragged()
    loss, metrics = loss_of(algorithm, batch)
    slopes = algorithm.joint_value_view(batch).slopes()
    hinge = float(torch.relu(-slopes)[batch.valid].sum() / batch.valid.sum())
    assert hinge > 0
    assert float(metrics["penalty"]) == pytest.approx(0.5 * hinge)
    torch.testing.assert_close(loss.detach(), 0.5 * (metrics["td_loss"] + metrics["local_loss"]) + metrics["penalty"])
    optimizer = torch.optim.Adam(algorithm.trained()["values"].parameters, lr=1e-2)
    before = float(violation_rate(slopes, algorithm.reads, batch.valid))
    for _ in range(15):
        optimizer.zero_grad()
        loss_of(algorithm, batch)[0].backward()
        optimizer.step()
    after = float(violation_rate(algorithm.joint_value_view(batch).slopes(), algorithm.reads, batch.valid))
    assert after < 0.5 * before


@pytest.mark.parametrize("overrides", [[], [SOME]])
def test_episodes_add_up_to_the_batch(overrides: list[str]) -> None:
    algorithm, batch = scrambled(LAMBDA, *overrides), ragged()
    parts = [loss_of(algorithm, episode(batch, index))[0] for index in range(5)]
    weighted = sum((part * length for part, length in zip(parts, batch.lengths, strict=True)), torch.zeros(()))
    torch.testing.assert_close(loss_of(algorithm, batch)[0], weighted / batch.lengths.sum(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("overrides", [[], [SOME], ["monotonicity=soft"]])
def test_padding_never_matters(overrides: list[str]) -> None:
    algorithm, batch = scrambled(LAMBDA, *overrides), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    (clean, _), (dirty, _) = loss_of(algorithm, batch), loss_of(algorithm, garbage)
    assert clean.isfinite()
    assert torch.equal(clean, dirty)
    expected, found = gradients(algorithm, clean), gradients(algorithm, dirty)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-12, rtol=1e-9)


def test_unsteps_to_learn_from_are_left_out() -> None:
    algorithm, batch = scrambled(ONE_STEP), ragged()
    block_rewards = algorithm.reward(batch)
    first = batch.valid & (torch.arange(batch.valid.shape[1]) < 1)
    loss, _ = algorithm.loss(batch, block_rewards._replace(learn_mask=first), draws())
    terms = plain_terms(algorithm, batch, lambda _, t: torch.ones(3, dtype=torch.bool), 0.0)  # noqa: ARG005
    starts = [sum(batch.lengths[:index].tolist()) for index in range(5)]
    expected = torch.stack([terms[start]["td"] + terms[start]["local"] for start in starts]).mean()
    torch.testing.assert_close(loss, expected, atol=1e-8, rtol=1e-8)


def test_syncing_copies_agents_and_mixing() -> None:
    algorithm = scrambled()
    pairs = [(algorithm.agent, algorithm.target_agent), (algorithm.mixer, algorithm.target_mixer)]
    assert all(any((a != b).any() for a, b in zip(x.parameters(), y.parameters(), strict=True)) for x, y in pairs)
    algorithm.sync_targets()
    for online, target in pairs:
        assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert not any(parameter.requires_grad for parameter in target.parameters())


def test_the_factorisation_is_of_the_mixed_value() -> None:
    algorithm, batch = scrambled(SOME, "loss.local_factor=0.75"), ragged()
    learned = algorithm.joint_value_view(batch)
    tried = torch.randint(SPEC.n_actions, batch.actions.shape, generator=torch.Generator().manual_seed(3))
    found, slopes, squares = learned.joint_value(tried), learned.slopes(), 0.0
    for index, given in enumerate(reference.episodes(batch)):
        q, h = remembered(algorithm.agent, given)
        for t in range(len(given.actions)):
            moment = (h[t], given.state[t], is_alive(given, t))
            value, _ = plain_mixing(algorithm.mixer, reference.taken(q[t], tried[index, t]), *moment)
            torch.testing.assert_close(found[index, t], value.detach(), atol=1e-8, rtol=1e-8)
            probed = reference.taken(q[t], given.actions[t]).detach().requires_grad_()
            (slope,) = torch.autograd.grad(plain_mixing(algorithm.mixer, probed, *moment)[0], probed)
            torch.testing.assert_close(slopes[index, t, 0], slope, atol=1e-8, rtol=1e-8)
    assert not found[~batch.valid].any()
    fit = algorithm.predict(batch, algorithm.reward(batch))
    loss = (fit.td_error**2)[batch.valid].sum() + 0.75 * (fit.local_error**2)[batch.valid].sum()
    (gradient,) = torch.autograd.grad(0.5 * loss, fit.utilities)
    squares = float(gradient.square().sum())
    assert learned.block_gradients().tolist() == pytest.approx([squares**0.5])


@pytest.mark.parametrize(
    ("override", "valid"),
    [
        ("partition=pairs", "partition=full"),
        ("projection=optimistic", "projection=uniform"),
        ("mixer=qmix", "mixer=builtin"),
        ("monotonicity=projected", "monotonicity=hard"),
    ],
)
def test_refusals_name_what_is_valid(override: str, valid: str) -> None:
    with pytest.raises(UserError, match=valid):
        build("algo=graphmix", override, spec=SPEC)


def test_who_is_alive_in_predator_prey() -> None:
    """Whom the world has removed, and nobody else; even where a predator is walled in and can only stay."""
    env = build_env(compose("algo=graphmix", "env=predator_prey"))
    assert isinstance(env, PredatorPrey)
    generator = torch.Generator().manual_seed(0)
    state = env.reset(16, generator)
    hunting = torch.rand(16, env.n_agents, generator=generator) < 0.5
    seen = env.observe(state._replace(hunting=hunting))
    moments = EpisodeBatch(
        *(field.unsqueeze(1) for field in seen), *(torch.zeros(16, 0, env.n_agents),) * 2, *(torch.zeros(16, 0),) * 2
    )
    assert torch.equal(observing_or_able_to_act(moments)[:, 0], hunting)
    assert everyone(moments).all()
    blind = moments._replace(obs=torch.zeros_like(moments.obs))
    assert torch.equal(observing_or_able_to_act(blind)[:, 0], hunting), "moves are available to the living"
    bound = moments._replace(avail_actions=torch.zeros_like(moments.avail_actions))
    assert torch.equal(observing_or_able_to_act(bound)[:, 0], hunting), "and they see at least themselves"
