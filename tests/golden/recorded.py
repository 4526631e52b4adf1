"""Recorded steps of public code: their episodes, weights and results as arrays, and our parameters in their layout.

A file holds arrays under `d/` (episodes), `w/` (weights before the step), `g/` (gradients) and `o/` (results), and the
sizes of the networks under `meta`.
"""

import ast
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from marlpipe.envs import graphs
from marlpipe.types import EnvSpec, EpisodeBatch

DATA = Path(__file__).parent / "data"

Weights = dict[str, Tensor]
Pairs = list[tuple[Tensor, Tensor]]  # our parameter, and the recorded array in its shape


class Recorded(NamedTuple):
    """One file. arrays: by their path. sizes: of networks and options of the public code."""

    arrays: dict[str, Tensor]
    sizes: dict[str, Any]

    def under(self, path: str) -> Weights:
        """All arrays below a path, by the rest of their names."""
        return {name[len(path) + 1 :]: array for name, array in self.arrays.items() if name.startswith(f"{path}/")}

    @property
    def spec(self) -> EnvSpec:
        """Of the environment of the episodes."""
        n_agents, n_actions, obs_dim, state_dim, horizon, _ = (int(size) for size in self.arrays["d/sizes"])
        return EnvSpec(
            n_agents=n_agents,
            n_actions=n_actions,
            obs_dim=obs_dim,
            state_dim=state_dim,
            horizon=horizon,
            graph=graphs.line(n_agents),
            local_rewards=True,
        )

    @property
    def episodes(self) -> EpisodeBatch:
        """The batch of the step."""
        d = self.under("d")
        steps = d["terminated"].shape[1]
        valid = torch.arange(steps) < d["lengths"].unsqueeze(1)
        return EpisodeBatch(
            obs=d["obs"].double(),
            state=d["state"].double(),
            avail_actions=d["avail"].bool(),
            actions=torch.where(valid.unsqueeze(-1), d["actions"].long()[:, :steps], 0),
            rewards=d["rewards"].double(),
            terminated=d["terminated"].bool(),
            valid=valid,
        )


def load(name: str) -> Recorded:
    """The recorded step of this name."""
    with np.load(DATA / f"{name}.npz") as file:
        sizes = ast.literal_eval(str(file["meta"]))
        arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
    return Recorded(
        {key: array.double() if array.is_floating_point() else array for key, array in arrays.items()}, sizes
    )


@torch.no_grad()
def assign(pairs: Pairs) -> None:
    """Sets our parameters to the recorded ones."""
    for parameter, array in pairs:
        assert parameter.shape == array.shape
        parameter.copy_(array)


def difference(ours: Tensor, recorded: Tensor) -> float:
    """max |a − b| relative to the largest |b|."""
    assert ours.shape == recorded.shape
    return float((ours.detach() - recorded).abs().max() / recorded.abs().max())


def gradient_difference(pairs: Pairs) -> float:
    """The same for gradients, over all parameters together."""
    ours = [torch.zeros_like(p) if p.grad is None else p.grad for p, _ in pairs]
    return difference(
        torch.cat([gradient.flatten() for gradient in ours]), torch.cat([array.flatten() for _, array in pairs])
    )


def linear(layer: Any, weights: Weights, name: str) -> Pairs:
    """A linear layer."""
    return [(layer.weight, weights[f"{name}.weight"]), (layer.bias, weights[f"{name}.bias"])]


def sequential(layers: nn.Sequential, weights: Weights, name: str) -> Pairs:
    """All linear layers of a sequence."""
    return [
        pair
        for place, layer in enumerate(layers)
        if isinstance(layer, nn.Linear)
        for pair in linear(layer, weights, f"{name}.{place}")
    ]


def agent(network: Any, weights: Weights) -> Pairs:
    """PyMARL's recurrent agent."""
    w = {name.removeprefix("agent."): array for name, array in weights.items()}
    gru = network.cell.gru
    return [
        (network.input.weight, w["fc1.weight"].T.unsqueeze(0)),
        (network.input.bias, w["fc1.bias"].unsqueeze(0)),
        (gru.weight_ih_l0, w["rnn.weight_ih"]),
        (gru.weight_hh_l0, w["rnn.weight_hh"]),
        (gru.bias_ih_l0, w["rnn.bias_ih"]),
        (gru.bias_hh_l0, w["rnn.bias_hh"]),
        *linear(network.output, w, "fc2"),
    ]


def hypernetwork(network: Any, weights: Weights, name: str) -> Pairs:
    """A hypernetwork of one block: Linear, or Linear, ReLU, Linear."""
    last = f"{name}.2" if network.hidden is not None else name if f"{name}.weight" in weights else f"{name}.0"
    output = [
        (network.output.weight, weights[f"{last}.weight"].T.unsqueeze(0)),
        (network.output.bias, weights[f"{last}.bias"].unsqueeze(0)),
    ]
    return output if network.hidden is None else linear(network.hidden, weights, f"{name}.0") + output


def qmix(mixer: Any, weights: Weights) -> Pairs:
    """PyMARL's QMixer."""
    names = {"w1": "hyper_w_1", "b1": "hyper_b_1", "w2": "hyper_w_final", "v": "V"}
    return [pair for ours, name in names.items() for pair in hypernetwork(getattr(mixer, ours), weights, name)]


def central(mixer: Any, weights: Weights, n_agents: int) -> Pairs:
    """WQMIX's central mixer, which reads the state first, and ours the utilities."""
    first = weights["net.0.weight"]
    reordered = {**weights, "net.0.weight": torch.cat([first[:, -n_agents:], first[:, :-n_agents]], dim=1)}
    return sequential(mixer.mlp, reordered, "net") + sequential(mixer.v, weights, "V")


def heads(network: Any, weights: Weights, name: str) -> Pairs:
    """QPLEX's K networks, which are one batched network here."""
    several = f"si_weight.{name}.0.weight" not in weights

    def of_heads(layer: int, part: str) -> list[Tensor]:
        place = f".{2 * layer}" if several else ""
        return [weights[f"si_weight.{name}.{head}{place}.{part}"] for head in range(network.heads)]

    pairs = [
        (network.first.weight, torch.cat(of_heads(0, "weight"))),
        (network.first.bias, torch.cat(of_heads(0, "bias"))),
    ]
    for number, layer in enumerate([part for part in network.later if not isinstance(part, nn.ReLU)], 1):
        pairs += [
            (layer.weight, torch.stack([weight.T for weight in of_heads(number, "weight")])),
            (layer.bias, torch.stack(of_heads(number, "bias"))),
        ]
    return pairs


def duplex(mixer: Any, weights: Weights) -> Pairs:
    """QPLEX's mixer."""
    return [
        *sequential(mixer.w, weights, "hyper_w_final"),
        *sequential(mixer.v, weights, "V"),
        *heads(mixer.key, weights, "key_extractors"),
        *heads(mixer.agent, weights, "agents_extractors"),
        *heads(mixer.action, weights, "action_extractors"),
    ]


def joint_value(network: Any, weights: Weights, state_dim: int) -> Pairs:
    """QTRAN's Q_jt, which reads the state first, and ours the encodings."""
    first = weights["Q.0.weight"]
    reordered = {**weights, "Q.0.weight": torch.cat([first[:, state_dim:], first[:, :state_dim]], dim=1)}
    return sequential(network.encoder, weights, "action_encoding") + sequential(network.mlp, reordered, "Q")


def graph_attention(mixer: Any, weights: Weights) -> Pairs:
    """GraphMIX's mixing."""
    layer = "mixing_GNN.layers.0."
    names = {"w1": f"{layer}w1", "b1": f"{layer}b1", "w2": f"{layer}w2", "b2": f"{layer}b2"}
    names |= {"w_out": "mixing_GNN.wout", "v": "V", "w_share": "mixing_GNN.wout_perNode"}
    return [
        *linear(mixer.encoder[0], weights, "obs_encoder.0"),
        (mixer.query.weight, weights["W_attn_query.weight"]),
        (mixer.key.weight, weights["W_attn_key.weight"]),
        *[pair for ours, name in names.items() for pair in hypernetwork(getattr(mixer, ours), weights, name)],
    ]
