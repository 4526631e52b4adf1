"""A program of its own, as what the tests' type checks wrap cannot be compiled. It asserts, and prints nothing."""

import torch

from marlpipe.models.agents.compiled import CompiledAgent
from marlpipe.models.agents.recurrent import RecurrentAgent
from marlpipe.models.agents.sequence_gru import SequenceGRU
from marlpipe.types import EnvSpec

SPEC = EnvSpec(
    n_agents=3, n_actions=4, obs_dim=5, state_dim=6, horizon=7, graph=torch.zeros(3, 3).bool(), local_rewards=True
)


def main() -> None:
    """Steps agree before and after the weights have changed; all else is the agent's own."""
    torch.manual_seed(0)
    agent = RecurrentAgent(
        spec=SPEC, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True, gru=SequenceGRU
    ).requires_grad_(False)
    compiled = CompiledAgent(agent)
    obs, acted = torch.randn(4, 3, 5), torch.randint(5, (4, 3))
    for _ in range(2):
        memory = agent.initial_memory(4)
        for _ in range(3):
            found, expected = compiled.step(obs, acted, memory), agent.step(obs, acted, memory)
            torch.testing.assert_close(found, expected)
            memory = found[1]
        for parameter in agent.parameters():
            parameter.add_(0.1)
    episodes = obs.unflatten(0, (2, 2)), acted.unflatten(0, (2, 2)), torch.ones(2, 2, dtype=torch.bool)
    assert torch.equal(compiled(*episodes), agent(*episodes))
    assert torch.equal(compiled.with_features(*episodes)[1], agent.with_features(*episodes)[1])
    assert torch.equal(compiled.initial_memory(3), agent.initial_memory(3))


if __name__ == "__main__":
    main()
