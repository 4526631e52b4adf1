"""QTRAN on the one-step game that monotone values cannot hold: what it finds, and that its theorem holds of it."""

from itertools import product

import pytest
import torch

from marlpipe.models.utilities import taken_utilities
from marlpipe.training.rollout import rollout
from tests.learning.exploring import greedy_payoff, learn

CLASSIC = "+experiment=games/classic"
# the base form's Q_jt reads an agent's summary and action side by side: 64 features of the one drown three of the other
LEARNS = {
    "qtran": (400, ["agent.hidden=8", "profile.optimizer.lr=1e-2"]),
    "qtran_alt": (200, ["profile.optimizer.lr=3e-3"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("algo", LEARNS)
def test_it_finds_the_optimum_and_its_greedy_actions_maximise_the_joint_value(algo: str, seed: int) -> None:
    updates, overrides = LEARNS[algo]
    env, algorithm = learn(CLASSIC, f"algo={algo}", *overrides, seed=seed, updates=updates, episodes=16)
    assert env.optimum == 8
    assert greedy_payoff(env, algorithm) == 8

    batch = rollout(env, algorithm.agent, 9, 0.0, torch.Generator().manual_seed(0))
    joint = torch.tensor(list(product(range(3), repeat=2)))
    batch = batch._replace(actions=joint.unsqueeze(1))
    values = algorithm.joint_value_view(batch).joint_value(batch.actions)[:, 0]
    torch.testing.assert_close(values, env.team_table.flatten(), atol=0.5, rtol=0)
    with torch.no_grad():
        utilities = algorithm.agent(batch.obs, batch.last_actions, batch.filled)[:, :-1]
        bound = taken_utilities(utilities, batch.actions).sum(-1) + algorithm.state_value(batch.state[:, :-1]).squeeze(
            -1
        )
    assert joint[values.argmax()].tolist() == utilities[0, 0].argmax(-1).tolist() == [0, 0]
    gaps = bound[:, 0] - values
    assert abs(float(gaps[0])) < 0.5, "equality at the greedy joint action"
    assert float(gaps.min()) > -0.5, "and nowhere below"
