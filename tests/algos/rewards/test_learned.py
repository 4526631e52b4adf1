"""The learned reward against plain loops over episodes, steps and sets."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from marlpipe.algos.rewards.learned import local_reward_error
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.envs import graphs
from marlpipe.errors import UserError
from marlpipe.types import EpisodeBatch, RunProgress, TrainingBatch
from tests.support.composition import GradientSteps, build, compose, draws
from tests.support.synthetic import episode, make_spec, ragged_batch, with_padding

SPEC = make_spec(n_agents=4, graph=graphs.line(4))
SETS = [(0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3)]
PAIRS = ["reward=learned_pairs", "reward.penalty=0.3", "reward.size_weights=[0.5,2.0]"]
ALL_STEPS = ["reward.tolerance_per_agent=1e6", "reward.accurate_share=0.0"]
ALL = list(range(SPEC.obs_dim))
FEATURES = "reward.model.features=[3,1]"


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def algorithm(*overrides: str, seed: int = 0, spec: Any = SPEC) -> Any:
    return build("algo=lomaq_rd", *overrides, spec=spec, seed=seed)


def training_batch(episodes: EpisodeBatch) -> TrainingBatch:
    return TrainingBatch(episodes, RunProgress(0, 0, 1.0, 0.0, 0.0, 0, False))


def plain_reward(model: Any, obs: Tensor, members: tuple[int, ...], features: list[int]) -> Tensor:
    """r_I of one set at one moment, layer by layer: what its members see, in ascending order."""
    layers = model.networks.networks[len(members) - 1]
    x = torch.cat([obs[agent, features] for agent in members])
    assert [tuple(layers[n].weight.T.shape) for n in (0, 2, 4, 6)] == list(pairwise([len(x), 64, 128, 64, 1]))
    x = F.linear(x, layers[0].weight, layers[0].bias).clamp(min=0)
    x = F.linear(x, layers[2].weight, layers[2].bias)
    x = torch.where(x > 0, x, 0.01 * x)
    x = torch.tanh(F.linear(x, layers[4].weight, layers[4].bias))
    return F.linear(x, layers[6].weight, layers[6].bias)[0]


def plain_steps(
    model: Any, batch: EpisodeBatch, features: list[int], sets: list[tuple[int, ...]]
) -> list[tuple[list[Tensor], float]]:
    """For every step of every episode, each set's reward and what the team was paid."""
    steps = []
    for index in range(len(batch.valid)):
        given = episode(batch, index)
        for t in range(given.valid.shape[1]):
            rewards = [plain_reward(model, given.obs[0, t], members, features) for members in sets]
            steps.append((rewards, float(given.rewards[0, t].sum())))
    return steps


@pytest.mark.parametrize("reduction", ["mean_over_steps", "mean_over_records"])
@pytest.mark.parametrize("misfit", ["log_cosh", "squared_error"])
def test_loss_and_gradients_equal_plain_loops(misfit: str, reduction: str) -> None:
    losses = "marlpipe.algos.rewards.losses"
    reward = algorithm(
        *PAIRS, FEATURES, f"reward.model.misfit.path={losses}.{misfit}", f"reward.reduction.path={losses}.{reduction}"
    ).reward
    batch = ragged()
    loss, metrics = reward.loss(batch)
    steps = plain_steps(reward.model, batch, [3, 1], SETS)
    data, penalty = torch.zeros(()), torch.zeros(())
    for rewards, paid in steps:
        error = torch.stack(rewards).sum() - paid
        data = data + (error**2 if misfit == "squared_error" else torch.log(torch.cosh(error)))
        for members, of_set in zip(SETS, rewards, strict=True):
            penalty = penalty + {1: 0.5, 2: 2.0}[len(members)] * of_set.abs()
    if reduction == "mean_over_steps":
        expected = (data + 0.3 * penalty) / 20
    else:
        expected = data / (5 * (SPEC.horizon + 1)) + 0.3 * penalty
    assert len(steps) == 20
    torch.testing.assert_close(loss, expected.to(loss))
    torch.testing.assert_close(metrics["regulariser"], (penalty / 20).detach())
    torch.testing.assert_close(metrics["decomposition_loss"], loss.detach())
    parameters = list(reward.parameters())
    for found, wanted in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("partition", ["singletons", "pairs", "full"])
def test_blocks_are_paid_their_agents_shares_which_add_up_to_the_prediction(partition: str) -> None:
    """r̂_i = Σ_{I∋i} r_I / |I|; their sum over agents is Σ_I r_I."""
    reward = algorithm(*PAIRS, *ALL_STEPS, f"partition={partition}").reward
    batch = ragged()
    paid = reward(batch)
    blocks = {"singletons": [[0], [1], [2], [3]], "pairs": [[0, 1], [2, 3]], "full": [[0, 1, 2, 3]]}[partition]
    expected = torch.zeros(5, 6, len(blocks), dtype=torch.float64)
    predicted = torch.zeros(5, 6, dtype=torch.float64)
    with torch.no_grad():
        places = [(b, t) for b in range(5) for t in range(int(batch.lengths[b]))]
        for (b, t), (rewards, _) in zip(places, plain_steps(reward.model, batch, ALL, SETS), strict=True):
            predicted[b, t] = torch.stack(rewards).sum()
            for members, of_set in zip(SETS, rewards, strict=True):
                for agent in members:
                    block = next(number for number, agents in enumerate(blocks) if agent in agents)
                    expected[b, t, block] += of_set / len(members)
    torch.testing.assert_close(paid.rewards, expected)
    torch.testing.assert_close(paid.rewards.sum(-1), predicted)
    assert torch.equal(paid.learn_mask, batch.valid)
    assert not paid.rewards.requires_grad


def test_exactly_the_steps_that_are_off_by_delta_are_not_learned_from() -> None:
    """Golden item 9: masking drops exactly |e| ≥ Δ, here 4 · 0.25. The sign of e does not matter."""
    reward = algorithm("reward.tolerance_per_agent=0.25", "reward.accurate_share=0.0").reward
    with torch.no_grad():
        for parameter in reward.parameters():
            parameter.zero_()  # every r_I is 0: e = −r_team
    batch = ragged()
    assert float(reward.tolerance) == 1.0
    off = torch.tensor([0.0, 0.999, -0.999, 1.0, -1.0, 7.0], dtype=torch.float64)
    batch = batch._replace(rewards=off.expand(5, 6).unsqueeze(-1) * torch.tensor([1.0, 0.0, 0.0, 0.0]))
    expected = torch.tensor([True, True, True, False, False, False]).expand(5, 6) & batch.valid
    assert torch.equal(reward(batch).learn_mask, expected)
    share = float(expected.sum() / batch.valid.sum())
    closed = algorithm("reward.tolerance_per_agent=0.25", f"reward.accurate_share={share + 1e-3}").reward
    closed.load_state_dict(reward.state_dict())
    assert not closed(batch).learn_mask.any()
    [update] = closed.updates(training_batch(batch), draws())
    assert float(update.metrics["rejected_share"]) == 1.0
    assert float(update.metrics["decomposition_accuracy"]) == pytest.approx(share)


def test_only_the_sum_over_agents_is_seen() -> None:
    reward = algorithm(*PAIRS, *ALL_STEPS).reward
    batch = ragged()
    team = torch.zeros_like(batch.rewards)
    team[..., 2] = batch.rewards.sum(-1)
    moved = batch._replace(rewards=team)
    torch.testing.assert_close(reward.loss(batch)[0], reward.loss(moved)[0])
    torch.testing.assert_close(reward(batch).rewards, reward(moved).rewards)
    team_world = make_spec(n_agents=4, graph=graphs.line(4), local_rewards=False)
    update = next(algorithm(*PAIRS, spec=team_world).reward.updates(training_batch(moved), draws()))
    assert "local_reward_error" not in update.metrics


def test_the_last_observation_explains_no_reward() -> None:
    """Of an episode of L steps, the observation at L is only bootstrapped from."""
    reward, batch = algorithm(*PAIRS, *ALL_STEPS).reward, ragged()
    obs = batch.obs.clone()
    obs[torch.arange(5), batch.lengths] = 1e3
    changed = batch._replace(obs=obs)
    assert torch.equal(reward.loss(batch)[0], reward.loss(changed)[0])
    assert torch.equal(reward(batch).rewards, reward(changed).rewards)


def test_actions_are_not_seen() -> None:
    """D14: observations only."""
    reward, batch = algorithm(*PAIRS, *ALL_STEPS).reward, ragged()
    changed = batch._replace(actions=(batch.actions + 1) % SPEC.n_actions)
    assert torch.equal(reward(batch).rewards, reward(changed).rewards)


@pytest.mark.parametrize("parts", [PAIRS, ["reward=learned_classes"]])
def test_padding_never_matters(parts: list[str]) -> None:
    reward, batch = algorithm(*parts, *ALL_STEPS).reward, ragged()
    garbage = with_padding(batch, batch.filled, math.nan, avail=True, action=SPEC.n_actions - 1, terminated=True)
    results = []
    for given in (batch, garbage):
        [update] = reward.updates(training_batch(given), draws())
        gradients = torch.autograd.grad(update.loss, list(reward.parameters()))
        results.append((update, gradients, reward(given)))
    (clean, expected, paid), (dirty, found, paid_too) = results
    assert clean.loss.isfinite()
    assert torch.equal(clean.loss, dirty.loss)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert all(torch.equal(value, dirty.metrics[name]) for name, value in clean.metrics.items())
    assert torch.equal(paid.rewards, paid_too.rewards)
    assert torch.equal(paid.learn_mask, paid_too.learn_mask)


def test_episodes_add_up_to_the_batch() -> None:
    reward, batch = algorithm(*PAIRS).reward, ragged()
    whole, _ = reward.loss(batch)
    parts = [reward.loss(episode(batch, index))[0] * batch.lengths[index] for index in range(5)]
    torch.testing.assert_close(whole, torch.stack(parts).sum() / batch.lengths.sum())


def test_the_decomposition_learns_first_and_alone() -> None:
    """Its gradient steps move its own parameters only, and come before those of the values."""
    learner, batch = algorithm(*PAIRS, *ALL_STEPS, "reward.updates_per_batch=3"), ragged()
    trained = learner.trained()
    own = {id(parameter) for parameter in learner.reward.parameters()}
    assert list(trained) == ["decomposition", "values"]
    assert {id(parameter) for parameter in trained["decomposition"].parameters} == own
    assert not own & {id(parameter) for parameter in trained["values"].parameters}
    updated = []
    for update in learner.updates(training_batch(batch), draws()):
        learner.zero_grad()
        update.loss.backward()
        moved = {id(parameter) for parameter in learner.parameters() if parameter.grad is not None}
        assert moved <= {id(parameter) for parameter in trained[update.of].parameters}
        assert moved
        updated.append(update.of)
    assert updated == ["decomposition"] * 3 + ["values"]


def test_the_values_learn_from_the_rewards_after_their_gradient_steps() -> None:
    learner, batch = algorithm(*ALL_STEPS), ragged()
    seen = []

    def loss(
        episodes: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        del episodes, generator
        seen.append(block_rewards)
        return block_rewards.rewards.sum(), {}

    learner.loss = loss
    before = learner.reward(batch).rewards
    updates = learner.updates(training_batch(batch), draws())
    next(updates)
    with torch.no_grad():
        for parameter in learner.reward.parameters():
            parameter.mul_(0.5)  # a gradient step
    next(updates)
    torch.testing.assert_close(seen[0].rewards, learner.reward(batch).rewards)
    assert not torch.allclose(seen[0].rewards, before)


def test_an_empty_mask_leaves_the_values_alone_but_records_the_decomposition() -> None:
    overrides = ["reward.tolerance_per_agent=1e-9"]
    learner = algorithm(*overrides)
    before = [parameter.clone() for parameter in learner.trained()["values"].parameters]
    metrics = GradientSteps(learner, compose("algo=lomaq_rd", *overrides))(ragged())
    assert set(metrics) == {
        *("decomposition_loss", "regulariser", "decomposition_accuracy", "decomposition_error_abs"),
        *("rejected_share", "local_reward_error"),
    }
    assert float(metrics["rejected_share"]) == 1.0
    after = learner.trained()["values"].parameters
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    open_gate = algorithm(*ALL_STEPS)
    metrics = GradientSteps(open_gate, compose("algo=lomaq_rd", *ALL_STEPS))(ragged())
    assert {"td_loss", "decomposition_loss"} <= set(metrics)
    assert float(metrics["rejected_share"]) == 0.0


def test_the_whole_batch_is_measured_before_the_gradient_steps() -> None:
    reward, batch = algorithm("reward.tolerance_per_agent=0.3", "reward.accurate_share=0.1").reward, ragged()
    errors = []
    with torch.no_grad():
        for rewards, paid in plain_steps(reward.model, batch, ALL, SETS[:4]):
            errors.append(abs(float(torch.stack(rewards).sum()) - paid))
    accurate = sum(error < 1.2 for error in errors) / 20
    assert 0.1 < accurate < 1
    [update] = reward.updates(training_batch(batch), draws())
    assert float(update.metrics["decomposition_accuracy"]) == pytest.approx(accurate)
    assert float(update.metrics["rejected_share"]) == pytest.approx(1 - accurate)
    assert float(update.metrics["decomposition_error_abs"]) == pytest.approx(sum(errors) / 20)


def test_local_reward_error_by_hand_passes_over_constants() -> None:
    """Agent 0 is off by 7 everywhere, which nothing determines; agent 1 by 1, 1 and 4: 1, 1 and 2 from their mean."""
    true = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [9.0, 9.0]]])
    learned = true + torch.tensor([[[7.0, 1.0], [7.0, 1.0]], [[7.0, 4.0], [0.0, 50.0]]])
    valid = torch.tensor([[True, True], [True, False]])
    assert float(local_reward_error(learned, true, valid)) == pytest.approx((0 + 0 + 0 + 1 + 1 + 2) / 6)


def test_each_gradient_step_draws_its_own_distinct_episodes() -> None:
    reward, batch = algorithm("reward.batch_episodes=3", "reward.updates_per_batch=8").reward, ragged()
    tagged = batch._replace(rewards=torch.arange(5.0).double().view(5, 1, 1).expand_as(batch.rewards))
    drawn: list[list[int]] = []

    def loss(episodes: EpisodeBatch) -> tuple[Tensor, dict[str, Tensor]]:
        drawn.append(episodes.rewards[:, 0, 0].int().tolist())
        return torch.zeros((), requires_grad=True), {}

    reward.loss = loss
    for _ in range(2):
        assert len(list(reward.updates(training_batch(tagged), draws()))) == 8
    assert drawn[:8] == drawn[8:]  # the generator decides
    assert all(len(set(rows)) == 3 for rows in drawn)
    assert len({tuple(sorted(rows)) for rows in drawn}) > 3
    assert {row for rows in drawn for row in rows} == set(range(5))


def test_a_batch_of_fewer_episodes_is_drawn_whole() -> None:
    reward, batch = algorithm("reward.batch_episodes=50").reward, ragged()
    [update] = reward.updates(training_batch(batch), draws())
    torch.testing.assert_close(update.loss, reward.loss(batch)[0])


def test_optimiser_and_clip_are_its_own() -> None:
    owned = algorithm().trained()["decomposition"]
    optimizer = owned.optimizer(owned.parameters)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults["lr"] == 0.01
    assert owned.gradient_clip == 0.0


@pytest.mark.parametrize(
    ("override", "updated"),
    [
        ("reward.penalty=-1.0", r"reward\.penalty=-1\.0(.|\n)*at least 0"),
        ("reward.tolerance_per_agent=0.0", r"tolerance_per_agent=0\.0(.|\n)*above 0"),
        ("reward.accurate_share=1.5", r"accurate_share=1\.5(.|\n)*from 0 to 1"),
        ("reward.batch_episodes=0", r"batch_episodes=0(.|\n)*from 1"),
        ("reward.updates_per_batch=0", r"updates_per_batch=0(.|\n)*from 1"),
        ("reward.gradient_clip=-1.0", r"gradient_clip=-1\.0"),
        ("reward.size_weights=[]", r"size_weights=\[\](.|\n)*size_weights=\[0\.0,1\.0\]"),
        ("reward.size_weights=[0.0,-1.0]", r"size_weights=\[0\.0, -1\.0\]"),
        ("reward.model.features=[5]", r"features=\[5\](.|\n)*from 0 to 4"),
        ("reward.model.features=[]", r"features=\[\]"),
    ],
)
def test_bad_numbers_are_told(override: str, updated: str) -> None:
    with pytest.raises(UserError, match=updated):
        algorithm(override)


def test_the_last_size_weight_is_that_of_all_larger_sets() -> None:
    reward = algorithm("reward.sets.largest=3", "reward.size_weights=[0.0,1.0]").reward
    assert reward.weights.tolist() == [0.0] * 4 + [1.0] * 5
    reward = algorithm("reward.sets.largest=3", "reward.size_weights=[1.0,2.0,4.0]").reward
    assert reward.weights.tolist() == [1.0] * 4 + [2.0] * 3 + [4.0] * 2


def test_the_classes_differ_from_the_numbers_in_nothing_but_the_model() -> None:
    both = [compose("algo=lomaq_rd", f"reward={name}").reward for name in ("learned", "learned_classes")]
    plain = [{key: part for key, part in OmegaConf.to_container(one).items() if key != "model"} for one in both]
    assert plain[0] == plain[1]
