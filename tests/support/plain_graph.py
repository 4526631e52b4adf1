"""GraphMIX's mixing at one moment, agent by agent."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support import reference

NETWORKS = ("w1", "b1", "w2", "b2", "w_out", "v", "w_share")


def softmax_among(scores: list[Tensor], who: list[int]) -> list[Tensor]:
    """Over the entries `who`; zero elsewhere."""
    top = max(float(scores[j].detach()) for j in who)
    weights = [(score - top).exp() if j in who else torch.zeros_like(score) for j, score in enumerate(scores)]
    return [weight / torch.stack(weights).sum() for weight in weights]


def plain_mixing(
    network: Any, q: Tensor, h: Tensor, state: Tensor, alive: Tensor, constrain: Callable[[Tensor], Tensor] = torch.abs
) -> tuple[Tensor, Tensor]:
    """Q_tot and shares. Where nobody lives, all shares are the same, and multiply no error."""
    made = {name: reference.hypernet(getattr(network, name), 0, state) for name in NETWORKS}
    w1, w_out = constrain(made["w1"]), constrain(made["w_out"])
    w2 = constrain(made["w2"]).view(len(w1), len(w_out))
    agents, living = range(len(q)), [i for i in range(len(q)) if alive[i]]
    if not living:
        return made["v"].squeeze(), torch.full_like(q, 1 / len(q))

    z = [F.relu(F.linear(h[i], network.encoder[0].weight, network.encoder[0].bias)) for i in agents]
    nodes, scores = [], []
    for i in agents:
        total = torch.zeros((), dtype=q.dtype)
        if i in living:
            query = network.query.weight @ z[i]
            similar = [query @ (network.key.weight @ z[j]) / math.sqrt(len(query)) for j in agents]
            total = sum((a * q[j] for j, a in enumerate(softmax_among(similar, living))), total)
        hidden = total * w1 + made["b1"]
        hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
        nodes.append(F.elu(hidden @ w2 + made["b2"]))
        scores.append(nodes[-1] @ made["w_share"])
    readout = torch.stack([nodes[i] for i in living]).mean(0)
    return readout @ w_out + made["v"].squeeze(), torch.stack(softmax_among(scores, living))
