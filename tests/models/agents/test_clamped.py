"""The clamped agent: what is acted on is what the policy is made of."""

from typing import Any

import pytest
import torch

from marlpipe.errors import UserError
from marlpipe.models.agents.clamped import ClampedAgent
from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.models.agents.recurrent import RecurrentAgent
from marlpipe.models.agents.sequence_gru import SequenceGRU
from marlpipe.models.utilities import greedy_actions
from tests.support.synthetic import make_spec, scramble

SPEC = make_spec()


def inner(kind: Any) -> Any:
    torch.manual_seed(0)
    recurrence = {"gru": SequenceGRU} if kind is RecurrentAgent else {}
    agent = kind(spec=SPEC, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True, **recurrence)
    scramble(agent, scale=2.0)
    return agent


@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_utilities_stay_within_bounds_in_training_and_acting(kind: Any) -> None:
    agent = inner(kind)
    clamped = ClampedAgent(agent, lowest=-5.0, highest=2.0)
    obs = torch.randn(4, 6, 3, 5)
    acted = torch.randint(5, (4, 6, 3))  # 4: none yet
    filled = torch.arange(6) <= torch.tensor([5, 2, 4, 1]).unsqueeze(1)
    free, features = agent.with_features(obs, acted, filled)
    assert (free.min() < -5, free.max() > 2) == (True, True)
    expected = free.clamp(-5, 2)
    assert torch.equal(clamped(obs, acted, filled), expected)
    found, same = clamped.with_features(obs, acted, filled)
    assert torch.equal(found, expected)
    assert torch.equal(same, features)
    assert clamped.hidden == features.shape[-1]
    assert expected[~filled].eq(0).all()
    memory = clamped.initial_memory(4)
    for t in range(3):
        utilities, memory = clamped.step(obs[:, t], acted[:, t], memory)
        torch.testing.assert_close(utilities[filled[:, t]], expected[:, t][filled[:, t]])


def test_the_greedy_action_is_the_most_probable_one() -> None:
    """Of those that the clamp makes equal, acting takes the one that an argmax of the policy takes."""
    agent = ClampedAgent(inner(RecurrentAgent), lowest=-5.0, highest=2.0)
    with torch.no_grad():
        logits, _ = agent.step(torch.randn(50, 3, 5), torch.full((50, 3), 4), agent.initial_memory(50))
    avail = torch.rand(50, 3, 4) < 0.7
    avail[..., 0] |= ~avail.any(-1)
    pi = torch.where(avail, logits, -torch.inf).softmax(-1)
    assert ((pi == pi.max(-1, keepdim=True).values).sum(-1) > 1).any(), "there are ties"
    assert torch.equal(greedy_actions(logits, avail), pi.argmax(-1))


@pytest.mark.parametrize("bounds", [(1.0, 2.0), (-5.0, -1.0), (0.0, 0.0)])
def test_bounds_that_leave_nothing_or_not_zero_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"loss\.actor\.lowest="):
        ClampedAgent(inner(FeedForwardAgent), lowest=bounds[0], highest=bounds[1])
