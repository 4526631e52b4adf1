"""Agent networks against one-hots that are built and sequences that are looped over."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.models.agents.inputs import AgentInput
from marlpipe.models.agents.recurrent import RecurrentAgent
from marlpipe.models.agents.sequence_gru import SequenceGRU
from tests.support.synthetic import make_spec

SPEC = make_spec(n_agents=3, n_actions=4, obs_dim=5)
HIDDEN = 8
LENGTHS = [4, 1, 6, 3, 6]
OPTIONS = [(last, identity) for last in (False, True) for identity in (False, True)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make(kind: Any, *, shared: bool, last: bool = True, identity: bool = True) -> Any:
    recurrence = {"gru": SequenceGRU} if kind is RecurrentAgent else {}
    agent = kind(
        spec=SPEC, hidden=HIDDEN, obs_last_action=last, obs_agent_id=identity, shared=shared, **recurrence
    ).double()
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return agent


def ragged(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Observations, last actions and which moments exist; nonsense where they do not."""
    draw = torch.Generator().manual_seed(seed)
    moments = max(LENGTHS) + 1
    filled = torch.arange(moments) <= torch.tensor(LENGTHS).unsqueeze(1)
    obs = torch.randn(5, moments, 3, 5, generator=draw, dtype=torch.float64)
    actions = torch.randint(5, (5, moments, 3), generator=draw)  # 4: none yet
    obs[~filled] = 1e6
    return obs, actions, filled


def one_hots(agent: int, obs: Tensor, action: int, *, last: bool, identity: bool) -> Tensor:
    parts = [obs]
    if last:
        parts.append(torch.tensor([float(action == a) for a in range(4)]).double())
    if identity:
        parts.append(torch.tensor([float(agent == n) for n in range(3)]).double())
    return torch.cat(parts)


@pytest.mark.parametrize(("last", "identity"), OPTIONS)
@pytest.mark.parametrize("shared", [True, False])
def test_the_input_is_a_rectified_linear_map_of_concatenated_one_hots(shared: bool, last: bool, identity: bool) -> None:
    layer = AgentInput(spec=SPEC, hidden=HIDDEN, obs_last_action=last, obs_agent_id=identity, shared=shared).double()
    obs = torch.randn(6, 3, 5, dtype=torch.float64)
    actions = torch.randint(5, (6, 3))  # 4 is "none yet"
    found = layer(obs, actions)
    for v in range(6):
        for n in range(3):
            group = 0 if shared else n
            x = one_hots(n, obs[v, n], int(actions[v, n]), last=last, identity=identity)
            torch.testing.assert_close(found[v, n], torch.relu(x @ layer.weight[group] + layer.bias[group]))


def gru_of(agent: Any, n: int) -> nn.GRU:
    """torch's GRU with the weights that agent n uses."""
    gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True).double()
    if isinstance(agent.output, nn.Linear):
        weights = agent.cell.gru.all_weights[0]
    else:
        i, h = agent.cell.of_input, agent.cell.of_memory
        weights = (i.weight[n].T, h.weight[n].T, i.bias[n], h.bias[n])
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    with torch.no_grad():
        for name, weight in zip(names, weights, strict=True):
            getattr(gru, name).copy_(weight)
    return gru


def output_of(agent: Any, n: int) -> tuple[Tensor, Tensor]:
    if isinstance(agent.output, nn.Linear):
        return agent.output.weight.T, agent.output.bias
    return agent.output.weight[n], agent.output.bias[n]


@pytest.mark.parametrize("shared", [True, False])
def test_recurrent_agents_equal_torchs_gru_on_every_episode(shared: bool) -> None:
    """Forward, and the gradient of every parameter."""
    agent = make(RecurrentAgent, shared=shared)
    obs, actions, filled = ragged()
    found = agent(obs, actions, filled)
    directions = torch.randn_like(found)
    (found * directions).sum().backward()
    grus = [gru_of(agent, n) for n in range(3)]
    twin = [parameter.detach().clone().requires_grad_() for parameter in (agent.input.weight, agent.input.bias)]
    total = torch.zeros((), dtype=torch.float64)
    for n, gru in enumerate(grus):
        group = 0 if shared else n
        weight, bias = output_of(agent, n)
        for b, length in enumerate(LENGTHS):
            rows = [
                one_hots(n, obs[b, t, n], int(actions[b, t, n]), last=True, identity=True) for t in range(length + 1)
            ]
            features = torch.relu(torch.stack(rows) @ twin[0][group] + twin[1][group])
            memory, _ = gru(features.unsqueeze(0))
            expected = memory[0] @ weight.detach() + bias.detach()
            torch.testing.assert_close(found[b, : length + 1, n], expected)
            total = total + (expected * directions[b, : length + 1, n]).sum()
    total.backward()
    for parameter, copied in zip((agent.input.weight, agent.input.bias), twin, strict=True):
        torch.testing.assert_close(parameter.grad, copied.grad, atol=1e-9, rtol=1e-9)
    if shared:
        for name, weight in agent.cell.gru.named_parameters():
            summed = sum((getattr(gru, name).grad for gru in grus), torch.zeros(()))
            torch.testing.assert_close(weight.grad, summed, atol=1e-9, rtol=1e-9)
    else:
        for n, gru in enumerate(grus):
            torch.testing.assert_close(agent.cell.of_input.weight.grad[n].T, gru.weight_ih_l0.grad)
            torch.testing.assert_close(agent.cell.of_memory.weight.grad[n].T, gru.weight_hh_l0.grad)
            torch.testing.assert_close(agent.cell.of_memory.bias.grad[n], gru.bias_hh_l0.grad)


@pytest.mark.parametrize(("last", "identity"), OPTIONS)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_training_sees_what_acting_saw(kind: Any, shared: bool, last: bool, identity: bool) -> None:
    agent = make(kind, shared=shared, last=last, identity=identity)
    obs, actions, filled = ragged()
    whole = agent(obs, actions, filled)
    memory = agent.initial_memory(5)
    for t in range(obs.shape[1]):
        utilities, memory = agent.step(obs[:, t], actions[:, t], memory)
        running = filled[:, t]
        torch.testing.assert_close(whole[running, t], utilities[running])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_utilities_are_zero_and_without_gradient_where_nothing_exists(kind: Any, shared: bool) -> None:
    agent = make(kind, shared=shared)
    obs, actions, filled = ragged()
    utilities = agent(obs, actions, filled)
    assert (utilities[~filled] == 0).all()
    assert (utilities[filled] != 0).all()
    utilities[~filled].sum().backward()
    assert all(parameter.grad is None or (parameter.grad == 0).all() for parameter in agent.parameters())


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_the_order_of_episodes_does_not_matter(kind: Any, shared: bool) -> None:
    agent = make(kind, shared=shared)
    obs, actions, filled = ragged()
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(agent(obs[order], actions[order], filled[order]), agent(obs, actions, filled)[order])


@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_independent_agents_share_no_parameter(kind: Any) -> None:
    agent = make(kind, shared=False)
    agent(*ragged())[:, :, 1].sum().backward()
    for name, parameter in agent.named_parameters():
        assert len(parameter) == 3
        assert (parameter.grad[[0, 2]] == 0).all(), name
        assert (parameter.grad[1] != 0).any(), name


@pytest.mark.parametrize("kind", [RecurrentAgent, FeedForwardAgent])
def test_shared_agents_differ_by_their_id_alone(kind: Any) -> None:
    obs, actions, filled = ragged()
    alike = obs[:, :, :1].expand_as(obs), actions[:, :, :1].expand_as(actions), filled
    same = make(kind, shared=True, identity=False)(*alike)
    torch.testing.assert_close(same[:, :, 0], same[:, :, 2])
    told_apart = make(kind, shared=True, identity=True)(*alike)
    assert not torch.isclose(told_apart[filled][:, 0], told_apart[filled][:, 2]).all()


@pytest.mark.parametrize("shared", [True, False])
def test_the_memory_carries_the_past(shared: bool) -> None:
    """The first observation matters at the end of a recurrent agent's episode, not of a feed-forward one's."""
    obs, actions, filled = ragged()
    other = obs.clone()
    other[:, 0] += 1.0
    for kind, remembers in [(RecurrentAgent, True), (FeedForwardAgent, False)]:
        agent = make(kind, shared=shared)
        before, after = agent(obs, actions, filled), agent(other, actions, filled)
        assert bool((before[2, 6] != after[2, 6]).all()) == remembers
        assert torch.equal(before[1], after[1]) is False


def test_feed_forward_layers() -> None:
    agent = make(FeedForwardAgent, shared=True)
    obs, actions, _ = ragged()
    first = agent.input(obs[0, :2], actions[0, :2])
    linear = [*(layer for layer in agent.layers if isinstance(layer, nn.Linear)), agent.output]
    expected = torch.relu(first @ linear[0].weight.T + linear[0].bias) @ linear[1].weight.T + linear[1].bias
    torch.testing.assert_close(agent(obs, actions, torch.ones(5, 7, dtype=torch.bool))[0, :2], expected)
