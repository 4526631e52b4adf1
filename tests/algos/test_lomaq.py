"""LOMAQ's variants: which next actions it bootstraps from, what it is on one block, and its sampled penalty."""

from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.algos import targets
from marlpipe.types import EpisodeBatch
from tests.support import reference
from tests.support.composition import build, loss_of
from tests.support.synthetic import make_spec, ragged_batch, scramble, with_padding

SPEC = make_spec()
ONE_STEP, LAMBDA = "profile=wqmix", "profile=qpro"  # loss factors 1 and 0.5, λ of 0 and 0.6
DISCOUNT = float(torch.tensor(0.99))  # rounded as the code's masks are
RULES = ["double_q_actions", "target_greedy_actions", "sarsa_actions"]


def ragged(seed: int = 0) -> EpisodeBatch:
    return ragged_batch(
        SPEC, lengths=[4, 1, 6, 3, 6], terminal=[True, False, True, False, False], seed=seed, dtype=torch.float64
    )


def scrambled(*overrides: str) -> Any:
    algorithm = build("algo=lomaq", *overrides, spec=SPEC)
    scramble(algorithm)
    return algorithm


def bootstrapped(rule: str, online: list[Tensor], target: list[Tensor], given: reference.Episode) -> list[list[int]]:
    """The joint action at each of the L + 1 moments whose value is a target."""
    found = []
    for t, avail in enumerate(given.avail_actions):
        by_online, by_target = reference.greedy(online[t], avail), reference.greedy(target[t], avail)
        if rule == "double_q_actions":
            found.append(by_online)
        elif rule == "target_greedy_actions":
            found.append(by_target)
        else:
            found.append([int(a) for a in given.actions[t]] if t < len(given.actions) else by_online)
    return found


def plain_loss(rule: str, profile: str, algorithm: Any, batch: EpisodeBatch) -> Tensor:
    decay, factor = (0.0, 1.0) if profile == ONE_STEP else (0.6, 0.5)
    reads = [reference.within(SPEC.graph, [agent], 1) for agent in range(SPEC.n_agents)]
    per_step = []
    for given in reference.episodes(batch):
        online = reference.unroll(algorithm.agent, given)
        target = reference.unroll(algorithm.target_agent, given)
        following = [
            [reference.lomaq(algorithm.target_mixer, i, reference.taken(u, a)[read]) for i, read in enumerate(reads)]
            for u, a in zip(target, bootstrapped(rule, online, target, given), strict=True)
        ]
        for t, actions in enumerate(given.actions):
            utilities = reference.taken(online[t], actions)
            error = torch.zeros(())
            for i, read in enumerate(reads):
                rewards, values = [float(r[i]) for r in given.rewards], [float(v[i]) for v in following]
                y = reference.returns(rewards, values, bool(given.terminated[-1]), DISCOUNT, decay)
                error = error + (reference.lomaq(algorithm.mixer, i, utilities[read]) - y[t]) ** 2
            per_step.append(error)
    return factor * sum(per_step, torch.zeros(())) / len(per_step)


@pytest.mark.parametrize("profile", [ONE_STEP, LAMBDA])
@pytest.mark.parametrize("rule", RULES)
def test_three_targets_equal_plain_loops(rule: str, profile: str) -> None:
    algorithm, batch = scrambled(f"loss.next_actions.path=marlpipe.algos.targets.{rule}", profile), ragged()
    loss, _ = loss_of(algorithm, batch)
    expected = plain_loss(rule, profile, algorithm, batch)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    for other in set(RULES) - {rule}:
        assert not torch.isclose(loss, plain_loss(other, profile, algorithm, batch), rtol=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_padding_changes_no_target(rule: str) -> None:
    algorithm, batch = scrambled(f"loss.next_actions.path=marlpipe.algos.targets.{rule}", LAMBDA), ragged()
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    assert torch.equal(loss_of(algorithm, batch)[0], loss_of(algorithm, garbage)[0])


def test_next_actions_by_hand() -> None:
    """One agent, two moments: action 0 is best online, 1 by the target, 2 was taken but cannot be at the end."""
    batch = ragged_batch(make_spec(n_agents=1, n_actions=3), lengths=[1], terminal=[False])
    batch = batch._replace(
        actions=torch.tensor([[[2]]]),
        avail_actions=torch.tensor([[[[True, True, True]], [[True, True, False]]]]),
    )
    online = torch.tensor([5.0, 1.0, 2.0]).expand(1, 2, 1, 3)
    target = torch.tensor([1.0, 5.0, 9.0]).expand(1, 2, 1, 3)
    assert targets.double_q_actions(online, target, batch).flatten().tolist() == [0, 0]
    assert targets.target_greedy_actions(online, target, batch).flatten().tolist() == [2, 1]
    assert targets.sarsa_actions(online, target, batch).flatten().tolist() == [2, 0]


def test_the_maximum_of_a_monotone_value_is_at_the_target_utilities_own() -> None:
    """Why Algorithm 3 may maximise utilities where Equation (1) maximises the value: brute force."""
    algorithm, batch = scrambled("partition=full"), ragged()
    given = reference.episodes(batch)[2]
    target = reference.unroll(algorithm.target_agent, given)
    joint = torch.cartesian_prod(*[torch.arange(SPEC.n_actions)] * SPEC.n_agents)
    for t in range(len(target)):
        possible = [actions for actions in joint if all(given.avail_actions[t, i, a] for i, a in enumerate(actions))]
        value = [float(reference.lomaq(algorithm.target_mixer, 0, reference.taken(target[t], a))) for a in possible]
        greedy = reference.greedy(target[t], given.avail_actions[t])
        assert max(value) == pytest.approx(
            float(reference.lomaq(algorithm.target_mixer, 0, reference.taken(target[t], greedy)))
        )


def test_on_one_block_it_is_qmix_without_a_state() -> None:
    """P = {V}: QMIX's network, its weights made from a state of zeros, with a second layer that adds 1 and a last
    bias that takes it off again (App. C: LOMAQ is equivalent to QMIX there)."""
    qmix = build("algo=qmix", ONE_STEP, "monotonicity=hard", spec=SPEC)
    scramble(qmix)
    lomaq = build("algo=lomaq", ONE_STEP, "partition=full", spec=SPEC)
    zeros = torch.zeros(1, 1, SPEC.state_dim).double()
    for mixer, of in ((lomaq.mixer, qmix.mixer), (lomaq.target_mixer, qmix.target_mixer)):
        with torch.no_grad():
            first, last = of.generated_weights(zeros)
            mixer.theta[0][0] = first[0, 0, 0]
            mixer.bias[0][0] = of.b1(zeros)[0, 0, 0]
            mixer.theta[1][0] = torch.eye(32)
            mixer.bias[1].fill_(1.0)  # ELU > −1, so that the second one is the identity
            mixer.theta[2][0] = last[0, 0, 0].unsqueeze(-1)
            mixer.bias[2][0] = of.v(zeros)[0, 0, 0] - last.sum()
    for part in ("agent", "target_agent"):
        getattr(lomaq, part).load_state_dict(getattr(qmix, part).state_dict())
    batch = ragged()
    stateless = batch._replace(state=torch.zeros_like(batch.state))
    torch.testing.assert_close(loss_of(lomaq, batch)[0], loss_of(qmix, stateless)[0], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("algo", ["lomaq", "qpro"])
def test_a_sampled_penalty_depends_on_the_draw_and_on_nothing_padded(algo: str) -> None:
    parts = [f"algo={algo}", LAMBDA, "monotonicity=soft", "monotonicity.penalty.sampled=true"]
    algorithm, batch = build(*parts, spec=SPEC), ragged()
    scramble(algorithm)
    garbage = with_padding(batch, batch.filled, 1e4, avail=True, action=SPEC.n_actions - 1, terminated=True)
    found = []
    for seed, episodes in [(0, batch), (0, garbage), (1, batch)]:
        algorithm.zero_grad()
        loss, metrics = loss_of(algorithm, episodes, seed)
        loss.backward()
        found.append((metrics["penalty"].item(), [p.grad.clone() for p in algorithm.mixer.parameters()]))
    assert found[0][0] == found[1][0] != found[2][0]
    assert found[0][0] > 0
    for clean, dirty in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(dirty, clean, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("algo", ["lomaq", "qpro"])
def test_a_sampled_penalty_is_on_the_online_mixer_at_the_state_of_the_step(algo: str) -> None:
    """What it is given to mix other utilities with: it agrees with the values, and is zero where nothing exists."""
    algorithm = build(f"algo={algo}", ONE_STEP, "monotonicity=soft", "monotonicity.penalty.sampled=true", spec=SPEC)
    scramble(algorithm, scale=0.5)
    batch = ragged()
    seen: dict[str, Tensor] = {}
    penalty = algorithm.monotonicity.penalty

    def spy(values: Tensor, utilities: Tensor, mask: Tensor, mix: Any, generator: torch.Generator) -> Tensor:
        points = utilities.detach() + 0.1
        torch.testing.assert_close(mix(utilities.detach()), values.detach())
        seen["points"], seen["mixed"] = points, mix(points)
        return penalty(values, utilities, mask, mix, generator)

    spy.loss_share = penalty.loss_share  # type: ignore[attr-defined]
    algorithm.monotonicity.penalty = spy
    loss_of(algorithm, batch)
    expected = algorithm.mixer(seen["points"], batch.state[:, :-1])
    torch.testing.assert_close(seen["mixed"][batch.valid], expected[batch.valid])
    assert (seen["mixed"][~batch.valid] == 0).all()
