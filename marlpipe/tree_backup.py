"""The tree backup of a joint action's value: what any policy's episodes tell of the value under π.

δ_t = r_t + γ (1 − terminated_t) E_π[V(s_{t+1}, ·)] − V_t,    V_t = V(s_t, a_t)
y_t = V_t + Σ_{l=0}^{n−1} (γλ)^l [Π_{j=1}^{l} π(a_{t+j} | s_{t+j})] δ_{t+l}

(Precup, Sutton, Singh 2000; as DOP uses it, Wang et al. 2021.)
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def tree_backup_targets(
    rewards: Float[Tensor, "B T J"],
    values: Float[Tensor, "B T J"],
    expected_values: Float[Tensor, "B T1 J"],
    probabilities: Float[Tensor, "B T"],
    terminated: Bool[Tensor, "B T"],
    valid: Bool[Tensor, "B T"],
    *,
    discount: float,
    trace_decay: float,
    steps: int,
) -> Float[Tensor, "B T J"]:
    """y_t; zero where not valid. Episodes acted by any policy will do: none of it is corrected by their probabilities.

    values: of the actions taken. expected_values: under π, of the moments 0 … T; a truncated episode bootstraps from
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
