"""DOP's critics: each agent's own action values, by one network for all agents (sizes of its public code)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from marlpipe.errors import Width
from marlpipe.models.utilities import StepIndex
from marlpipe.types import EnvSpec


class IndividualCritic(nn.Module):
    """Q_i(s, o_i, ·) = advantages + value, both from state ⊕ observation ⊕ onehot(i) through two hidden ReLU layers.

    No mean is subtracted from the advantages. hidden: units of each hidden layer.
    """

    def __init__(self, *, spec: EnvSpec, hidden: Width) -> None:
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


def per_time_step(mask: Bool[Tensor, "B T"]) -> Iterator[StepIndex]:
    """A critic step for each time step that some episode has, the first one first, on all episodes that have it."""
    step, episode = mask.T.nonzero(as_tuple=True)
    start = 0
    for count in mask.sum(0).tolist():
        if count:
            yield episode[start : start + count], step[start : start + count]
        start += count


def all_at_once(mask: Bool[Tensor, "B T"]) -> Iterator[StepIndex]:
    """One critic step on all time steps together: another, cheaper algorithm."""
    episode, step = mask.nonzero(as_tuple=True)
    yield episode, step
