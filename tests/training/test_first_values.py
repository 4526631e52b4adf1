"""The first values of a run: LOMAQ's mixing weights shrink where they exceed every return; elsewhere a warning."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from marlpipe.training.callbacks.first_values import FirstValues, first_value
from marlpipe.types import EpisodeBatch
from tests.support.composition import build
from tests.support.synthetic import make_spec, ragged_batch, with_padding

SPEC = make_spec()
EPISODES = ragged_batch(SPEC, lengths=[7, 4, 2], terminal=[False, True, True], dtype=torch.float64)
LOMAQ = ("algo=lomaq", "agent=feedforward")


def paying(largest: float) -> EpisodeBatch:
    """The episodes with returns of at most so much."""
    returns = EPISODES.team_rewards.sum(1).abs().max()
    return EPISODES._replace(rewards=EPISODES.rewards * largest / returns)


def mixing_weights(mixer: Any) -> list[Tensor]:
    return [theta.detach().clone() for theta in mixer.theta]


@pytest.mark.parametrize("monotonicity", ["hard", "abs", "projected"])
def test_values_that_exceed_every_return_shrink_with_the_weights_of_all_layers(monotonicity: str) -> None:
    algorithm = build(*LOMAQ, f"monotonicity={monotonicity}", spec=SPEC)
    before, weights = first_value(algorithm, EPISODES), mixing_weights(algorithm.mixer)
    FirstValues(label="").look(algorithm, paying(before / 27))
    assert before / 54 < first_value(algorithm, EPISODES) < before / 13.5
    for now, target, then in zip(
        mixing_weights(algorithm.mixer), mixing_weights(algorithm.target_mixer), weights, strict=True
    ):
        assert torch.allclose(now, then / 3)
        assert torch.equal(now, target)


@pytest.mark.parametrize("words", [(), ("profile=lomaq",), ("mixer.scaled_start=false",)])
def test_a_start_within_the_returns_and_the_public_codes_are_left_alone(words: tuple[str, ...]) -> None:
    algorithm = build(*LOMAQ, *words, spec=SPEC)
    weights, value = mixing_weights(algorithm.mixer), first_value(algorithm, EPISODES)
    FirstValues(label="").look(algorithm, paying(value / 25 if words else 1.01 * value))
    assert all(map(torch.equal, mixing_weights(algorithm.mixer), weights))


def test_where_nothing_was_paid_values_start_near_one() -> None:
    algorithm = build(*LOMAQ, spec=SPEC)
    assert first_value(algorithm, EPISODES) > 5
    FirstValues(label="").look(algorithm, EPISODES._replace(rewards=torch.zeros_like(EPISODES.rewards)))
    assert 0.5 < first_value(algorithm, EPISODES) < 2


@pytest.mark.parametrize(
    ("algo", "profile"), [("lomaq", "lomaq"), ("qmix", "quick"), ("qplex", "quick"), ("pac", "quick")]
)
def test_a_start_far_from_every_return_is_told(algo: str, profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    algorithm = build(f"algo={algo}", f"profile={profile}", spec=SPEC)
    value = first_value(algorithm, EPISODES)
    FirstValues(label=f"{algo} seed 0").look(algorithm, paying(value / 6))
    first, following = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{algo} seed 0: the first values are {value:.3g} on average, and no return so far is ")
    assert f"larger than {value / 6:.3g}; " in first
    assert following.startswith("  next: ")


@pytest.mark.parametrize("pieces", [False, True])
def test_only_the_first_batch_counts(
    pieces: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or, where batches are made of pieces of episodes, the episodes that were collected before it."""
    module, callback = LightningModule(), FirstValues(label="")
    algorithm = module.algorithm = build("algo=qmix", spec=SPEC)
    trainer = Trainer(logger=False, accelerator="cpu", plugins=[LightningEnvironment()])
    paid = paying(first_value(algorithm, EPISODES) / 6)
    replay = SimpleNamespace(sequence_steps=3 if pieces else None, collected=lambda: paid)
    monkeypatch.setattr(Trainer, "train_dataloader", SimpleNamespace(replay=replay))
    batch = SimpleNamespace(episodes=None if pieces else paid)
    callback.on_train_batch_start(trainer, module, batch, 0)
    callback.on_train_batch_start(trainer, module, batch, 1)
    resumed(callback).on_train_batch_start(trainer, module, batch, 0)
    assert capsys.readouterr().err.count("the first values are") == 1


def resumed(callback: FirstValues) -> FirstValues:
    again = FirstValues(label="")
    again.load_state_dict(callback.state_dict())
    return again


def test_a_start_a_little_above_the_returns_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    algorithm = build("algo=qmix", spec=SPEC)
    FirstValues(label="").look(algorithm, paying(first_value(algorithm, EPISODES) / 4))
    assert capsys.readouterr().err == ""


def test_padding_is_no_value() -> None:
    algorithm = build(*LOMAQ, spec=SPEC)
    padded = with_padding(EPISODES, EPISODES.filled, 1e6, avail=True, action=1, terminated=True)
    assert first_value(algorithm, padded) == pytest.approx(first_value(algorithm, EPISODES))
