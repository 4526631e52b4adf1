"""Tables of the learned rewards r_I of two agents that observe one number each (LOMAQ Figure 6)."""

from typing import Any, cast

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from marlpipe.algos.rewards.learned import LearnedReward
from marlpipe.runs.folder import RunFolder
from marlpipe.training.learner import Learner
from marlpipe.types import TrainingBatch

SEEN = tuple(step / 10 for step in range(15))  # distances to the landmark in m: the axes of Figure 6


class RewardTables(Callback):
    """A row of tables at every evaluation: each set's r_I and their sum, for all pairs of distances in `SEEN`.

    Other rewards, more agents, and observations of more than one number have no such tables.
    """

    def __init__(self, *, folder: RunFolder) -> None:
        self.folder, self.env_steps = folder, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        del trainer, pl_module, outputs, batch_idx
        self.env_steps = batch.progress.env_steps

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer
        reward = getattr(cast(Learner, pl_module).algorithm, "reward", None)
        if isinstance(reward, LearnedReward) and drawable(reward):
            self.folder.append_tables({"env_steps": self.env_steps, **tables(reward)})


def drawable(reward: LearnedReward) -> bool:
    """Whether each r_I is a function of two numbers, one for each agent."""
    return reward.spec.n_agents == 2 and len(reward.model.features) == 1


@torch.no_grad()
def tables(reward: LearnedReward) -> dict[str, Any]:
    """Sets and rewards (I × 15 × 15): row a and column b stand for agent 0 at `SEEN[a]` and agent 1 at `SEEN[b]`."""
    like = reward.shares
    seen: Tensor = torch.tensor(SEEN, dtype=like.dtype, device=like.device)
    obs = like.new_zeros(len(SEEN) ** 2, 2, reward.spec.obs_dim)
    obs[..., reward.model.features[0]] = torch.cartesian_prod(seen, seen)
    rewards = reward.model(obs).T.unflatten(1, (len(SEEN), len(SEEN)))  # (I,D,D)
    return {
        "decomposition/seen": list(SEEN),
        "decomposition/sets": [list(members) for members in reward.sets],
        "decomposition/rewards": rewards.tolist(),
        "decomposition/predicted": rewards.sum(0).tolist(),
    }
