"""LOMAQ's learner: one step of its hard and soft methods, and of independent learners."""

from typing import Any

import pytest

from tests.golden.recorded import Pairs, Recorded, Weights, agent, load
from tests.golden.test_public_code import algorithm_of, check


def free_networks(mixer: Any, weights: Weights, step: Recorded) -> Pairs:
    """The state-free networks: one per block in the public code, one per group of blocks here."""
    soft, orders = step.sizes["mode"] == "soft", step.sizes["orders"]
    blocks = {int(group): block for block, group in reversed(list(enumerate(mixer.group)))}
    pairs = []
    for layer in range(3):
        weight, bias = (parameter.detach().clone() for parameter in (mixer.theta[layer], mixer.bias[layer]))
        for group, block in blocks.items():
            name = f"sub_mixers.{block}."
            own_weight = (
                weights[f"{name}network.{2 * layer}.weight"].T
                if soft
                else weights[f"{name}abs_network.weights.{layer}"]
            )
            own_bias = weights[f"{name}network.{2 * layer}.bias" if soft else f"{name}abs_network.biases.{layer}"]
            if layer == 0:  # its rows are the agents read, in an order of its own
                agents = mixer.index[block][mixer.present[block]].tolist()
                weight[group] = 0
                weight[group, : len(agents)] = own_weight[[orders[block].index(number) for number in agents]]
            else:
                weight[group] = own_weight
            bias[group, 0] = own_bias
        pairs += [(mixer.theta[layer], weight), (mixer.bias[layer], bias)]
    return pairs


@pytest.mark.parametrize("method", ["hard", "soft"])
def test_lomaq(method: str) -> None:
    step = load(f"lomaq_{method}")
    sharing = [] if step.sizes["share"] else ["mixer.sharing.path=marlpipe.models.mixers.reading.private_groups"]
    sizes = [f"mixer.hidden={step.sizes['embed']}", f"mixer.hops={step.sizes['depth']}", *sharing]
    algorithm = algorithm_of(step, "algo=lomaq", "profile=lomaq", f"monotonicity={method}", *sizes)

    def pairs(kind: str) -> Pairs:
        mixer = free_networks(algorithm.mixer, step.under(f"{kind}/mixer"), step)
        return agent(algorithm.agent, step.under(f"{kind}/agent")) + mixer

    targets = agent(algorithm.target_agent, step.under("w/target_agent"))
    check(step, algorithm, pairs, targets + free_networks(algorithm.target_mixer, step.under("w/target_mixer"), step))


def test_iql() -> None:
    step = load("lomaq_iql")
    algorithm = algorithm_of(step, "algo=iql", "profile=lomaq")

    def pairs(kind: str) -> Pairs:
        return agent(algorithm.agent, step.under(f"{kind}/agent"))

    check(step, algorithm, pairs, agent(algorithm.target_agent, step.under("w/target_agent")))
