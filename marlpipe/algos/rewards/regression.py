"""r_I as the output of a network (LOMAQ §4.2, eq. 2), as in the paper's experiments."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from marlpipe.algos.rewards.set_rewards import SetRewards, Terms
from marlpipe.algos.rewards.sets import Sets
from marlpipe.types import EnvSpec


class Regression(SetRewards):
    """r_pred = Σ_I r_I is fitted to the team reward. misfit: a function of e = r_pred − r_team."""

    def __init__(
        self, *, spec: EnvSpec, sets: Sets, features: Sequence[int] | None, misfit: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(spec=spec, sets=sets, features=features, outputs=lambda _: 1)
        self.misfit = misfit

    def forward(self, obs: Float[Tensor, "V N O"]) -> Float[Tensor, "V I"]:
        """r_I of every set, at V time steps."""
        return torch.cat(self.networks(obs[..., self.features]), dim=1).squeeze(-1)

    def terms(self, obs: Float[Tensor, "V N O"], team_rewards: Float[Tensor, " V"]) -> Terms:
        """The misfit of the sum, and |r_I|."""
        rewards = self(obs)
        return Terms(self.misfit(rewards.sum(1) - team_rewards), rewards.abs())
