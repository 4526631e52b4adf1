"""DOP against gradient steps computed in plain loops."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos.dop_critic import all_at_once, per_time_step
from marlpipe.config.build import build_algorithm, build_env, build_part
from marlpipe.errors import UserError
from marlpipe.models.exploration import epsilon_softmax
from marlpipe.training.replay import Replay
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch, RunProgress, TrainingBatch
from tests.algos.plain_dop import (
    EPSILON,
    SPEC,
    PlainRMSprop,
    plain_actor_loss,
    plain_credits,
    plain_policy,
    plain_q,
    plain_q_tot,
    plain_targets,
)
from tests.support import reference
from tests.support.composition import GradientSteps, build, compose, draws
from tests.support.synthetic import episode, ragged_batch, scramble, with_padding

LENGTHS, TERMINAL = [4, 1, 6, 3, 6, 2, 5, 3, 1], [True, False, True, False, False, True, False, True, False]
RECENT = 3  # of nine, the last ones
ONE_STEP = "loss.critic_step_mode.path=marlpipe.algos.dop_critic.all_at_once"


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(SPEC, lengths=LENGTHS, terminal=TERMINAL, seed=seed, dtype=torch.float64)


def scrambled(*overrides: str) -> Any:
    """Networks and targets that differ, and policies far from uniform."""
    algorithm = build("algo=dop", *overrides, spec=SPEC)
    scramble(algorithm, scale=0.05)
    with torch.no_grad():
        algorithm.agent.output.weight.mul_(4)
    return algorithm


def training(batch: EpisodeBatch, epsilon: float = EPSILON) -> TrainingBatch:
    return TrainingBatch(batch, RunProgress(int(batch.valid.sum()), len(batch.valid), epsilon, 0.0, 0.0, 0, False))


def clipped_step(algorithm: Any, of: str, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    owned = algorithm.trained()[of]
    torch.nn.utils.clip_grad_norm_(owned.parameters, owned.gradient_clip or 10.0)
    optimizer.step()


@pytest.mark.parametrize(("bias", "clip"), [("false", 20.0), ("true", 60.0)])
def test_a_training_step_equals_plain_loops(bias: str, clip: float) -> None:
    """A critic step for each moment in turn with the parameters of then, and the actor's loss after them all."""
    algorithm = scrambled(
        "loss.critic_optimizer.lr=1e-3", f"loss.critic_gradient_clip={clip}", f"loss.critic_mixer.bias={bias}"
    )
    plain, batch = copy.deepcopy(algorithm), ragged()
    given = reference.episodes(batch)
    recent = [index >= len(given) - RECENT for index in range(len(given))]
    targets = [plain_targets(plain, e, r) for e, r in zip(given, recent, strict=True)]
    learned = PlainRMSprop([*plain.critic.parameters(), *plain.mixer.parameters()], lr=1e-3, clip=clip)
    owned = algorithm.trained()["critic"]
    assert owned.optimizer is not None
    optimizer = owned.optimizer(owned.parameters)

    updates, norms, losses, q_tots, ys = algorithm.updates(training(batch), draws()), [], [], [], []
    for t in range(max(LENGTHS)):
        update = next(updates)
        assert update.of == "critic"
        running = [(e, y[t]) for e, y in zip(given, targets, strict=True) if len(e.actions) > t]
        values = [
            plain_q_tot(plain.mixer, plain_q(plain.critic, e.state[t], e.obs[t]), e.actions[t], e.state[t])
            for e, _ in running
        ]
        errors = [(value - y) ** 2 for value, (_, y) in zip(values, running, strict=True)]
        loss = sum(errors, torch.zeros(())) / len(errors)
        torch.testing.assert_close(update.loss, loss, atol=1e-8, rtol=1e-7)
        losses.append(float(loss.detach()))
        q_tots += [float(value.detach()) for value in values]
        ys += [y for _, y in running]
        norms.append(learned.step(loss))
        clipped_step(algorithm, "critic", optimizer, update.loss)
    assert max(norms) > clip > min(norms), "some steps are clipped"

    update = next(updates)
    assert update.of == "actor"
    assert next(updates, None) is None
    wanted = plain_actor_loss(plain, [e for e, r in zip(given, recent, strict=True) if r])
    torch.testing.assert_close(update.loss, wanted, atol=1e-8, rtol=1e-6)
    found = torch.autograd.grad(update.loss, list(algorithm.agent.parameters()))
    for gradient, other in zip(found, torch.autograd.grad(wanted, list(plain.agent.parameters())), strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-8, rtol=1e-5)
    assert max(float(gradient.abs().max()) for gradient in found) > 1e-2
    means = {
        "td_loss": sum(losses) / len(losses),
        "q_tot": sum(q_tots) / len(q_tots),
        "target": sum(ys) / len(ys),
        "td_error_abs": sum(abs(q - y) for q, y in zip(q_tots, ys, strict=True)) / len(ys),
        "actor_loss": float(wanted.detach()),
    }
    for name, value in means.items():
        assert float(update.metrics[name]) == pytest.approx(value, rel=1e-6, abs=1e-8), name


def test_advantage_and_entropy_are_means_over_steps_and_agents() -> None:
    algorithm, batch = scrambled(), ragged()
    _, metrics = algorithm.actor_loss(batch, EPSILON)
    entropies, advantages = [], []
    for given in reference.episodes(batch):
        policy = plain_policy(algorithm.agent, given, EPSILON)
        for t, actions in enumerate(given.actions):
            q = plain_q(algorithm.critic, given.state[t], given.obs[t]).detach()
            for i, a in enumerate(actions.tolist()):
                probabilities = [float(p) for p in policy[t][i].detach() if p > 0]
                entropies.append(-sum(p * float(torch.tensor(p, dtype=torch.float64).log()) for p in probabilities))
                advantages.append(abs(float(q[i, a] - (policy[t][i].detach() * q[i]).sum())))
    assert float(metrics["policy_entropy"]) == pytest.approx(sum(entropies) / len(entropies))
    assert float(metrics["advantage_abs"]) == pytest.approx(sum(advantages) / len(advantages))


def test_all_at_once_is_one_step_on_every_moment() -> None:
    algorithm, batch = scrambled(ONE_STEP), ragged()
    updates = list(algorithm.updates(training(batch), draws()))
    assert [update.of for update in updates] == ["critic", "actor"]
    errors = []
    for index, given in enumerate(reference.episodes(batch)):
        targets = plain_targets(algorithm, given, recent=index >= len(LENGTHS) - RECENT)
        for t, y in enumerate(targets):
            q = plain_q(algorithm.critic, given.state[t], given.obs[t])
            value = plain_q_tot(algorithm.mixer, q, given.actions[t], given.state[t])
            errors.append(float((value - y).detach()) ** 2)
    assert float(updates[0].loss.detach()) == pytest.approx(sum(errors) / len(errors), rel=1e-7)


def test_moments_are_visited_in_order_and_those_without_episodes_are_left_out() -> None:
    trusted = torch.tensor([[1, 0, 0, 1, 0], [1, 0, 1, 1, 0]], dtype=torch.bool)
    found = [list(zip(*(index.tolist() for index in places), strict=True)) for places in per_time_step(trusted)]
    assert found == [[(0, 0), (1, 0)], [(1, 2)], [(0, 3), (1, 3)]]
    [(episodes, moments)] = all_at_once(trusted)
    assert set(zip(episodes.tolist(), moments.tolist(), strict=True)) == {(0, 0), (1, 0), (1, 2), (0, 3), (1, 3)}


def test_each_loss_moves_its_own_parameters_only() -> None:
    algorithm = scrambled()
    own = {"critic": ("critic.", "mixer."), "actor": ("agent.",)}
    for update in algorithm.updates(training(ragged()), draws()):
        algorithm.zero_grad()
        update.loss.backward()
        moved = {name for name, p in algorithm.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        assert moved
        assert all(name.startswith(own[update.of]) for name in moved)
        assert all(any(name.startswith(prefix) for name in moved) for prefix in own[update.of])
    trained = algorithm.trained()
    assert set(trained) == {"critic", "actor"}
    assert {id(p) for owned in trained.values() for p in owned.parameters} == {
        id(p) for p in algorithm.parameters() if p.requires_grad
    }
    assert (trained["critic"].gradient_clip, trained["actor"].optimizer, trained["actor"].gradient_clip) == (
        20,
        None,
        None,
    )


def gradients(algorithm: Any, batch: EpisodeBatch) -> list[Tensor]:
    """The losses of one training step without any gradient step, and their gradients."""
    found = []
    for update in algorithm.updates(training(batch), draws()):
        parameters = algorithm.trained()[update.of].parameters
        found += [update.loss.detach(), *torch.autograd.grad(update.loss, parameters)]
    return found


@pytest.mark.parametrize("avail", [True, False])
@pytest.mark.parametrize("override", ["loss.critic_mixer.bias=true", ONE_STEP])
def test_padding_never_matters(override: str, avail: bool) -> None:
    algorithm, batch = scrambled(override), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=avail, action=SPEC.n_actions - 1, terminated=True)
    clean, dirty = gradients(algorithm, batch), gradients(algorithm, garbage)
    assert all(field.isfinite().all() for field in clean)
    for found, wanted in zip(dirty, clean, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-9)


def test_longer_padding_adds_no_step() -> None:
    algorithm, batch = scrambled(), ragged()
    longer = EpisodeBatch(*(torch.cat([field, torch.zeros_like(field[:, :2])], dim=1) for field in batch))
    for found, wanted in zip(gradients(algorithm, longer), gradients(algorithm, batch), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.02])
def test_episodes_add_up_to_the_batch(share: float) -> None:
    """Item 18: with only recent episodes, and with none."""
    algorithm, batch = scrambled(ONE_STEP, f"replay.recent_share={share}"), ragged()

    def losses(part: EpisodeBatch) -> Tensor:
        return torch.stack(
            [next(algorithm.updates(training(part), draws())).loss, algorithm.actor_loss(part, EPSILON)[0]]
        )

    parts = [losses(episode(batch, index)) * length for index, length in enumerate(LENGTHS)]
    torch.testing.assert_close(losses(batch), torch.stack(parts).sum(0) / sum(LENGTHS), atol=1e-9, rtol=1e-7)


def test_at_full_exploration_the_actor_has_nothing_to_learn() -> None:
    algorithm = scrambled()
    loss, _ = algorithm.actor_loss(ragged(), 1.0)
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, list(algorithm.agent.parameters())))


@pytest.mark.parametrize("batch_episodes", [2, 3, 9, 32, 48, 128])
def test_recent_rows_are_those_that_the_replay_puts_last(batch_episodes: int) -> None:
    replay = Replay(spec=SPEC, capacity=300, device=torch.device("cpu"))
    batch = ragged_batch(SPEC, lengths=[1] * 300, terminal=[True] * 300)
    batch.rewards[:, 0, 0] = torch.arange(300.0)
    replay.add(batch)
    config = compose("algo=dop", f"profile.batch_episodes={batch_episodes}")
    recent = round(config.replay.recent_share * batch_episodes)
    assert config.replay.recent_episodes == batch_episodes
    rows = replay.sample(batch_episodes, torch.Generator().manual_seed(0), recent=recent, window=recent).rewards
    found = rows[scrambled().recent(batch_episodes), 0, 0].sort().values
    assert found.tolist() == list(range(300 - recent, 300))
    assert recent == {2: 1, 3: 1, 9: 3, 32: 11, 48: 16, 128: 43}[batch_episodes]


def test_targets_are_copied_after_enough_critic_steps_and_the_count_survives() -> None:
    """Six steps a batch and copies every 13: after the third and the sixth batch."""
    overrides = ["algo=dop", "loss.target_update_critic_steps=13"]
    algorithm = scrambled(overrides[1])

    def in_step() -> bool:
        pairs = [(algorithm.critic, algorithm.target_critic), (algorithm.mixer, algorithm.target_mixer)]
        return all(
            torch.equal(a, b)
            for online, target in pairs
            for a, b in zip(online.state_dict().values(), target.state_dict().values(), strict=True)
        )

    found = []
    for _ in range(7):
        GradientSteps(algorithm, compose(*overrides))(ragged(), EPSILON)
        found.append(in_step())
        saved = algorithm.state_dict()
        algorithm = scrambled(overrides[1])
        algorithm.load_state_dict(saved)
        algorithm.sync_targets()
        assert in_step() == found[-1], "copies by episodes are none of DOP's"
    assert found == [False, False, True, False, False, True, False]
    online, target = algorithm.critic.parameters(), algorithm.target_critic.parameters()
    assert all(a is not b and not b.requires_grad for a, b in zip(online, target, strict=True))


def test_the_factorisation_is_that_of_the_critics() -> None:
    algorithm, batch = scrambled("loss.critic_mixer.bias=true"), ragged()
    learned, other = algorithm.joint_value_view(batch), torch.randint(SPEC.n_actions, batch.actions.shape)
    values, slopes, pulls = learned.joint_value(other), learned.slopes(), []
    assert not any(tensor.requires_grad for tensor in (values, slopes, learned.utilities, learned.block_gradients()))
    for index, given in enumerate(reference.episodes(batch)):
        logits = reference.unroll(algorithm.agent, given)
        recent = index >= len(LENGTHS) - RECENT
        for t, y in enumerate(plain_targets(algorithm, given, recent, epsilon=0.0)):
            q, state = plain_q(algorithm.critic, given.state[t], given.obs[t]), given.state[t]
            wanted = plain_q_tot(algorithm.mixer, q, other[index, t], state)
            torch.testing.assert_close(values[index, t], wanted.detach())
            credits = torch.stack(plain_credits(algorithm.mixer, state)).detach()
            torch.testing.assert_close(slopes[index, t, 0], credits)
            torch.testing.assert_close(learned.utilities[index, t], logits[t].detach())
            taken = plain_q_tot(algorithm.mixer, q, given.actions[t], state).detach()
            pulls.append((taken - y) * credits)
    assert not values[~batch.valid].any()
    assert learned.reads.tolist() == [[True] * SPEC.n_agents]
    torch.testing.assert_close(learned.block_gradients(), torch.cat(pulls).norm().unsqueeze(0))


@pytest.mark.parametrize(
    ("override", "valid"),
    [
        ("mixer=qmix", "mixer=builtin"),
        ("partition=singletons", "partition=full"),
        ("projection=optimistic", "projection=uniform"),
        ("monotonicity=abs", "monotonicity=none"),
        ("monotonicity=soft", "monotonicity=none"),
        ("replay=uniform", "replay=latest"),
        ("exploration=linear", "exploration=softmax"),
        ("exploration=full", "exploration=softmax"),
    ],
)
def test_what_has_no_meaning_is_refused(override: str, valid: str) -> None:
    with pytest.raises(UserError, match=valid):
        build("algo=dop", override, spec=SPEC)


def test_defaults_are_those_of_the_public_code() -> None:
    config = compose("algo=dop", "profile=wqmix")
    exploration = build_part(config, "exploration")
    assert [exploration(steps) for steps in (0, 250_000, 500_000, 10**7)] == pytest.approx([0.5, 0.275, 0.05, 0.05])
    assert exploration.action_sampler is epsilon_softmax
    algorithm: Any = build("algo=dop", "profile=wqmix", spec=SPEC)
    optimizer = algorithm.trained()["critic"].optimizer(algorithm.critic.parameters())
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert [optimizer.defaults[key] for key in ("lr", "alpha", "eps")] == [1e-4, 0.99, 1e-5]
    assert algorithm.target_update_critic_steps == 600
    shapes = [tuple(parameter.shape) for parameter in algorithm.critic.parameters() if parameter.dim() == 2]
    inputs = SPEC.state_dim + SPEC.obs_dim + SPEC.n_agents
    assert shapes == [(256, inputs), (256, 256), (SPEC.n_actions + 1, 256)]
    assert algorithm.mixer.w2.out_features == 32


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("world", "payoff"), [("payoff", 0.0), ("payoff_pymarl2", 12.0)])
def test_who_finds_the_optimum_of_one_step_games(world: str, payoff: float, seed: int) -> None:
    """Linear values prefer a safe action where miscoordination costs 12, and find the best one where it does not."""
    config = compose("+experiment=games/classic", "algo=dop", "exploration=softmax", f"env={world}")
    torch.manual_seed(seed)
    env, generator = build_env(config), torch.Generator().manual_seed(seed)
    algorithm: Any = build_algorithm(config, env)
    step = GradientSteps(algorithm, config)
    for _ in range(100):
        step(rollout(env, algorithm.agent, 64, 0.5, generator, epsilon_softmax), 0.5)
    greedy = rollout(env, algorithm.agent, 1, 0.0, generator)
    assert float(greedy.team_rewards[0, 0]) == payoff
