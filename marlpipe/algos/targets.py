"""The equations between utilities and a temporal-difference loss. Pure functions."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import Few, Share
from marlpipe.models.utilities import greedy_actions
from marlpipe.types import EpisodeBatch


def double_q_actions(
    online: Float[Tensor, "B T1 N A"],
    target: Float[Tensor, "B T1 N A"],  # noqa: ARG001
    batch: EpisodeBatch,
) -> Int[Tensor, "B T1 N"]:
    """Greedy by the online utilities: double Q-learning (van Hasselt et al. 2016), LOMAQ's public code."""
    return greedy_actions(online, batch.avail_actions)


def target_greedy_actions(
    online: Float[Tensor, "B T1 N A"],  # noqa: ARG001
    target: Float[Tensor, "B T1 N A"],
    batch: EpisodeBatch,
) -> Int[Tensor, "B T1 N"]:
    """Greedy by the target utilities, which maximises every monotone value of them (LOMAQ Algorithm 3)."""
    return greedy_actions(target, batch.avail_actions)


def sarsa_actions(
    online: Float[Tensor, "B T1 N A"],
    target: Float[Tensor, "B T1 N A"],  # noqa: ARG001
    batch: EpisodeBatch,
) -> Int[Tensor, "B T1 N"]:
    """The actions taken (LOMAQ Algorithm 2); greedy by the online utilities after the last one of an episode."""
    greedy = greedy_actions(online, batch.avail_actions)
    taken = torch.where(batch.valid.unsqueeze(-1), batch.actions, greedy[:, :-1])
    return torch.cat([taken, greedy[:, -1:]], dim=1)


def one_step_targets(
    rewards: Float[Tensor, "B T J"],
    next_values: Float[Tensor, "B T1 J"],
    terminated: Bool[Tensor, "B T"],
    valid: Bool[Tensor, "B T"],
    *,
    discount: Share,
) -> Float[Tensor, "B T J"]:
    """y_t = r_t + γ (1 − terminated_t) V_{t+1}; zero where not valid. `next_values` holds V_0 … V_T."""
    target = rewards + discount * (~terminated).unsqueeze(-1) * next_values[:, 1:]
    return target * valid.unsqueeze(-1)


def lambda_targets(
    rewards: Float[Tensor, "B T J"],
    next_values: Float[Tensor, "B T1 J"],
    terminated: Bool[Tensor, "B T"],
    valid: Bool[Tensor, "B T"],
    *,
    discount: Share,
    trace_decay: Share,
) -> Float[Tensor, "B T J"]:
    """TD(λ) without off-policy correction: G_t = r_t + γ (1 − terminated_t) [(1−λ) V_{t+1} + λ G_{t+1}].

    The recursion starts at each episode's own end L with G_L = V_L, so a truncated episode of any length bootstraps
    from its last observation. Zero where not valid.
    """
    running = valid.unsqueeze(-1)
    continues = (discount * (running & ~terminated.unsqueeze(-1))).to(next_values)
    alone = torch.where(running, rewards + (1 - trace_decay) * continues * next_values[:, 1:], next_values[:, :-1])
    following, returns = next_values[:, -1], []
    for a, b in zip(reversed(alone.unbind(1)), reversed((trace_decay * continues).unbind(1)), strict=True):
        following = torch.addcmul(a, b, following)  # G_t = a_t + b_t G_{t+1}
        returns.append(following)
    return torch.stack(returns[::-1], dim=1) * running


def tree_backup_targets(
    rewards: Float[Tensor, "B T J"],
    values: Float[Tensor, "B T J"],
    expected_values: Float[Tensor, "B T1 J"],
    probabilities: Float[Tensor, "B T"],
    terminated: Bool[Tensor, "B T"],
    valid: Bool[Tensor, "B T"],
    *,
    discount: Share,
    trace_decay: Share,
    steps: Few,
) -> Float[Tensor, "B T J"]:
    """y_t = Q_t + Σ_l (γλ)^l (Π π) δ_{t+l}; zero where not valid. Any policy may have acted, without corrections.

    values: of the actions taken. expected_values: under π, at the time steps 0 … T; a truncated episode bootstraps from
    its last one. probabilities: π of the joint action taken. steps: n. trace_decay: λ.
    """
    following = (expected_values[:, 1:] * discount).masked_fill(terminated.unsqueeze(-1), 0)
    errors = (rewards + following - values).masked_fill(~valid.unsqueeze(-1), 0)  # δ
    length = errors.shape[1]
    targets = values.masked_fill(~valid.unsqueeze(-1), 0) + errors
    trace = torch.ones_like(probabilities)  # (γλ)^l Π π
    for ahead in range(1, min(steps, length)):
        trace = discount * trace_decay * trace[:, :-1] * probabilities[:, ahead:]
        reached = trace.unsqueeze(-1) * errors[:, ahead:]
        targets[:, : length - ahead] += reached
    return targets
