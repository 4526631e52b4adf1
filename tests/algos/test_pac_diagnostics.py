"""What PAC shows of itself to diagnostics."""

import torch

from tests.algos.plain_pac import SPEC, ragged, scrambled
from tests.support import reference

N, A = SPEC.n_agents, SPEC.n_actions


def test_diagnostics_draw_no_numbers_and_hear_the_means() -> None:
    algorithm, batch = scrambled(), ragged()
    before = torch.get_rng_state()
    learned = algorithm.joint_value_view(batch)
    value = learned.joint_value(batch.actions)
    assert torch.equal(before, torch.get_rng_state())
    silent = scrambled()
    with torch.no_grad():
        for parameter in silent.critic.encoder.layers[-1].parameters():
            parameter.zero_()
    assert not torch.equal(silent.joint_value_view(batch).joint_value(batch.actions), value), "messages are heard"


def test_the_factorisation_is_of_actors_critics_and_q_star() -> None:
    algorithm, batch = scrambled(), ragged()
    learned = algorithm.joint_value_view(batch)
    for index, given in enumerate(reference.episodes(batch)):
        logits = torch.stack(reference.unroll(algorithm.agent, given)[:-1])
        torch.testing.assert_close(learned.utilities[index, : len(logits)], logits.detach())
        unrestricted = reference.unroll(algorithm.optimal_value.agent, given)
        actions = 3 - given.actions
        for t, joint in enumerate(actions):
            star = reference.central(
                algorithm.optimal_value.mixer, reference.taken(unrestricted[t], joint), given.state[t]
            )
            found = learned.optimal_value(3 - batch.actions)[index, t]
            torch.testing.assert_close(found, star.squeeze().detach())
    with torch.no_grad():
        utilities = algorithm.critic(batch, None).utilities[:, :-1]
        inputs = utilities.gather(-1, (3 - batch.actions).unsqueeze(-1)).squeeze(-1)
        q_tot = algorithm.mixer(inputs, batch.state[:, :-1]).squeeze(-1) * batch.valid
    torch.testing.assert_close(learned.joint_value(3 - batch.actions), q_tot)
    assert learned.slopes().shape == (5, 6, 1, N)
    assert learned.block_gradients().shape == (1,)
