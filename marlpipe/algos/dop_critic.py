"""DOP's critics: each agent's own action values, by one network for all agents (sizes of its public code)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.types import EnvSpec


class IndividualCritic(nn.Module):
    """Q_i(s, o_i, ·) = advantages + value, both from state ⊕ observation ⊕ onehot(i) through two hidden ReLU layers.

    No mean is subtracted from the advantages. hidden: units of each hidden layer.
    """

    def __init__(self, *, spec: EnvSpec, hidden: int) -> None:
        super().__init__()
        self.widths = [spec.state_dim, spec.obs_dim, spec.n_agents]
        self.input = nn.Linear(sum(self.widths), hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, spec.n_actions + 1)  # advantages and, last, the value

    def forward(self, obs: Float[Tensor, "B T N O"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T N A"]:
        """The state passes the first layer once for all agents, and the one-hot of i is a column of its weights."""
        of_state, of_obs, of_id = torch.split(self.input.weight, self.widths, dim=1)
        shared = F.linear(state, of_state, self.input.bias).unsqueeze(-2)
        features = torch.relu(F.linear(obs, of_obs) + shared + of_id.T)
        outputs: Tensor = self.output(torch.relu(self.hidden(features)))
        return outputs[..., :-1] + outputs[..., -1:]


def action_values(
    critic: IndividualCritic,
    obs: Float[Tensor, "B T N O"],
    state: Float[Tensor, "B T S"],
    exists: Bool[Tensor, "B T"],
) -> Float[Tensor, "B T N A"]:
    """Q_i of all actions at the moments that exist; zero elsewhere, where nothing is computed."""
    values: Tensor = critic(obs[exists].unsqueeze(0), state[exists].unsqueeze(0)).squeeze(0)  # (V,N,A)
    return values.new_zeros(*exists.shape, *values.shape[1:]).index_put((exists,), values)


Places = tuple[Int[Tensor, " V"], Int[Tensor, " V"]]  # episodes and moments


def per_moment(trusted: Bool[Tensor, "B T"]) -> Iterator[Places]:
    """A step for each moment, the first one first; none for a moment that no episode has."""
    moment, episode = trusted.T.nonzero(as_tuple=True)
    at = 0
    for count in trusted.sum(0).tolist():
        if count:
            yield episode[at : at + count], moment[at : at + count]
        at += count


def all_at_once(trusted: Bool[Tensor, "B T"]) -> Iterator[Places]:
    """One step for all moments together: another, cheaper algorithm."""
    episode, moment = trusted.nonzero(as_tuple=True)
    yield episode, moment
