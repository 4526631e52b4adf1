"""PAC against losses computed in plain loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos import pac_critic
from marlpipe.algos.rewards.reward import BlockRewards, TeamReward
from marlpipe.errors import UserError
from marlpipe.types import EpisodeBatch, RunProgress, TrainingBatch
from tests.algos.plain_pac import LENGTHS, SPEC, known_noise, plain_losses, ragged, scrambled
from tests.support.composition import GradientSteps, build, compose, draws
from tests.support.synthetic import episode, scramble, with_padding

N, A = SPEC.n_agents, SPEC.n_actions


class PartlyMasked(TeamReward):
    """A reward that masks every third time step."""

    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        rewards, valid = super().forward(batch)
        return BlockRewards(rewards, valid & (torch.arange(valid.shape[1]) % 3 != 1))


@pytest.fixture
def _known_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pac_critic, "standard_normal", lambda means, _: known_noise(means))


def training(batch: EpisodeBatch, env_steps: int = 0) -> TrainingBatch:
    return TrainingBatch(batch, RunProgress(env_steps, len(batch.valid), 1.0, 0.0, 0.0, 0, False))


def gradients(algorithm: Any, loss: Tensor) -> dict[str, Tensor]:
    algorithm.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in algorithm.named_parameters()
    }


def all_losses(algorithm: Any, batch: EpisodeBatch) -> dict[str, tuple[Tensor, dict[str, Tensor]]]:
    """Each update's loss and the gradients that it leaves everywhere; no parameter moves in between."""
    return {
        update.of: (update.loss.detach(), gradients(algorithm, update.loss))
        for update in algorithm.updates(training(batch), draws())
    }


LEARNS = {
    "critic": ("critic.", "mixer.", "optimal_value.agent.", "optimal_value.mixer."),
    "actor": ("agent.",),
    "temperature": ("temperature.",),
}


@pytest.mark.usefixtures("_known_noise")
@pytest.mark.parametrize(("partly", "factors"), [(False, (0.01, 1e-3, 1e-6)), (True, (0.9, 0.3, 0.7))])
def test_losses_and_gradients_equal_plain_loops(partly: bool, factors: tuple[float, float, float]) -> None:
    """Each loss moves its own networks only: all that enters it from elsewhere is a constant."""
    names = ("loss_factor", "compactness_factor", "message_entropy_factor")
    overrides = [f"loss.critic.{name}={factor}" for name, factor in zip(names, factors, strict=True)]
    algorithm, batch = scrambled(*overrides), ragged()
    if partly:
        algorithm.reward = PartlyMasked(SPEC, algorithm.partition)
    mask = algorithm.reward(batch).learn_mask
    assert bool((mask != batch.valid).any()) == partly
    found, wanted = all_losses(algorithm, batch), plain_losses(algorithm, batch, mask, factors)
    assert list(found) == ["critic", "actor", "temperature"]
    for of, (loss, slopes) in found.items():
        torch.testing.assert_close(loss, wanted[of].detach(), atol=1e-9, rtol=1e-9)
        expected = gradients(algorithm, wanted[of])
        for name, slope in slopes.items():
            own = expected[name] if name.startswith(LEARNS[of]) else torch.zeros_like(slope)
            torch.testing.assert_close(
                slope, own, atol=1e-9, rtol=1e-6, msg=lambda text, n=name, o=of: f"{o} {n}: {text}"
            )
        assert max(float(slope.abs().max()) for slope in slopes.values()) > 1e-3


def test_every_network_learns_from_its_update() -> None:
    algorithm, batch = scrambled(), ragged()
    for of, (_, slopes) in all_losses(algorithm, batch).items():
        moved = {name for name, slope in slopes.items() if slope.abs().max() > 0}
        assert moved == {name for name in slopes if name.startswith(LEARNS[of])}, of


def test_the_optimisers_share_all_that_learns() -> None:
    algorithm = scrambled()
    trained = algorithm.trained()
    names = {id(parameter): name for name, parameter in algorithm.named_parameters()}
    for of, owned in trained.items():
        assert {names[id(p)] for p in owned.parameters} == {n for n in names.values() if n.startswith(LEARNS[of])}
    assert sum(len(owned.parameters) for owned in trained.values()) == sum(
        parameter.requires_grad for parameter in algorithm.parameters()
    )
    assert [trained[of].optimizer is None for of in LEARNS] == [True, True, False]


@pytest.mark.usefixtures("_known_noise")
def test_messages_learn_from_values_and_from_labels() -> None:
    """The encoder from both, the predictor from labels only."""
    batch = ragged()
    for override, encoder, predictor in [
        ("loss.critic.loss_factor=0.0", True, False),
        ("loss.loss_factor=0.0", True, True),
    ]:
        slopes = all_losses(scrambled(override), batch)["critic"][1]
        for part, learns in [("critic.encoder.", encoder), ("critic.predictor.", predictor)]:
            assert any(s.abs().max() > 0 for n, s in slopes.items() if n.startswith(part)) == learns
    values = [s for n, s in slopes.items() if n.startswith(("critic.agent.", "mixer."))]
    assert all(slope.eq(0).all() for slope in values), "labels teach the messages, not the values"


def test_the_actor_follows_the_critic_as_it_is_after_its_step() -> None:
    losses = []
    for moves in (False, True):
        algorithm, batch = scrambled(), ragged()
        steps = algorithm.updates(training(batch), draws())
        next(steps)
        if moves:
            scramble(algorithm.critic.agent, seed=9)
        losses.append((float(next(steps).loss.detach()), float(next(steps).loss.detach())))
    assert losses[0][0] != losses[1][0]
    assert losses[0][1] == losses[1][1], "the temperature looks at the policy only"


def test_the_temperature_in_the_actors_loss_is_bounded() -> None:
    algorithm, batch = scrambled(), ragged()
    with torch.no_grad():
        algorithm.temperature.log_value.fill_(1.0)
    for env_steps, expected in [(0, 0.999), (2_500_000, math.e), (3_500_000, math.e)]:
        [*_, update] = algorithm.updates(training(batch, env_steps), draws())
        assert float(update.metrics["temperature"]) == pytest.approx(expected, rel=1e-6)


def test_messages_are_drawn_around_their_means() -> None:
    algorithm, batch = scrambled(), ragged()
    batch = EpisodeBatch(*(field.repeat(40, *(1,) * (field.ndim - 1)) for field in batch))
    drawn = [algorithm.critic(batch, draws(seed)) for seed in (0, 0, 1)]
    noise = (drawn[0].messages - drawn[0].means)[batch.filled].detach()
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03
    assert torch.equal(drawn[0].messages, drawn[1].messages)
    assert not torch.equal(drawn[0].messages, drawn[2].messages)


@pytest.mark.usefixtures("_known_noise")
def test_episodes_add_up_to_the_batch() -> None:
    algorithm, batch = scrambled(), ragged()
    whole = all_losses(algorithm, batch)
    parts = [all_losses(algorithm, episode(batch, index)) for index in range(5)]
    for of, (loss, _) in whole.items():
        added = sum((part[of][0] * length for part, length in zip(parts, LENGTHS, strict=True)), torch.zeros(()))
        torch.testing.assert_close(loss, added / sum(LENGTHS), atol=1e-9, rtol=1e-9)


def test_padding_never_matters() -> None:
    algorithm, batch = scrambled(), ragged()
    with torch.no_grad():
        algorithm.mixer.v.output.bias.sub_(3.0)  # Q_tot below the padding's targets of 0
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=A - 1, terminated=True)
    found = [all_losses(algorithm, given) for given in (batch, garbage)]
    for of, (loss, slopes) in found[0].items():
        assert loss.isfinite()
        assert torch.equal(loss, found[1][of][0])
        for name, slope in slopes.items():
            torch.testing.assert_close(found[1][of][1][name], slope, atol=1e-12, rtol=1e-9)


def test_nothing_is_learned_under_an_empty_mask() -> None:
    class AllMasked(TeamReward):
        def forward(self, batch: EpisodeBatch) -> BlockRewards:
            return BlockRewards(super().forward(batch).rewards, torch.zeros_like(batch.valid))

    algorithm = scrambled()
    algorithm.reward = AllMasked(SPEC, algorithm.partition)
    assert list(algorithm.updates(training(ragged()), draws())) == []


def test_syncing_copies_the_central_networks() -> None:
    algorithm = scrambled()
    pairs = [
        (algorithm.optimal_value.agent, algorithm.optimal_value.target_agent),
        (algorithm.optimal_value.mixer, algorithm.optimal_value.target_mixer),
    ]
    assert not any(torch.equal(a, b) for x, y in pairs for a, b in zip(x.parameters(), y.parameters(), strict=True))
    algorithm.sync_targets()
    for online, target in pairs:
        assert all(torch.equal(a, b) for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert all(a is not b for a, b in zip(online.parameters(), target.parameters(), strict=True))
        assert not any(parameter.requires_grad for parameter in target.parameters())


def test_sizes_and_factors_of_the_public_code() -> None:
    algorithm = build("algo=pac", spec=SPEC)
    critic = algorithm.critic
    assert algorithm.projection.alpha == 0.5
    assert (algorithm.loss_factor, algorithm.central_loss_factor) == (1.0, 0.5)
    assert (critic.loss_factor, critic.compactness_factor, critic.message_entropy_factor) == (0.01, 1e-3, 1e-6)
    assert (algorithm.agent.lowest, algorithm.agent.highest) == (-5.0, 2.0)
    assert critic.encoder.layers[-1].out_features == 3 * N
    assert critic.predictor.layers[0].in_features == 12 * N
    assert critic.agent.input.spec.obs_dim == SPEC.obs_dim + 3 * N
    assert algorithm.optimal_value.mixer.v[0].out_features == 256


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("partition=singletons", "partition=full"),
        ("mixer=builtin", "mixer=sum, qmix"),
        ("monotonicity=projected", "monotonicity="),
        ("loss.actor.highest=-1.0", r"loss\.actor\.highest="),
    ],
)
def test_what_does_not_go_together_is_refused(override: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        build("algo=pac", override, spec=SPEC)


def test_one_training_step_moves_everything_that_learns() -> None:
    algorithm, batch = scrambled(), ragged()
    before = {name: parameter.clone() for name, parameter in algorithm.named_parameters()}
    metrics = GradientSteps(algorithm, compose("algo=pac", "profile=qpro"))(batch)
    for name, parameter in algorithm.named_parameters():
        assert torch.equal(parameter, before[name]) == ("target_" in name), name
    assert all(value.isfinite().all() and not value.requires_grad for value in metrics.values())
    torch.testing.assert_close(
        metrics["loss"], metrics["td_loss"] + metrics["central_loss"] + metrics["communication_loss"]
    )
