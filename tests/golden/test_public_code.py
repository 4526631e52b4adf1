"""Losses and gradients of one training step equal those recorded from the authors' public code."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.golden import recorded
from tests.golden.recorded import Pairs, Recorded, agent, assign, central, difference, gradient_difference, load, qmix
from tests.support.composition import build, loss_of

CLOSE = 1e-5  # relative; the arrays are stored in single precision


def algorithm_of(step: Recorded, *overrides: str) -> Any:
    algorithm = build(*overrides, "env=payoff", f"agent.hidden={step.sizes['H']}", spec=step.spec)
    torch.set_default_dtype(torch.float64)
    return algorithm


def hypernet_sizes(step: Recorded) -> list[str]:
    return [f"mixer.embed={step.sizes['embed']}", f"mixer.hypernet_hidden={step.sizes['hyper']}"]


def profile(step: Recorded) -> str:
    return "profile=qpro" if step.sizes.get("adam") else "profile=wqmix"


def check(step: Recorded, algorithm: Any, pairs: Callable[[str], Pairs], targets: Pairs) -> None:
    """One loss and its gradients, from the recorded weights."""
    assign(pairs("w"))
    assign(targets)
    loss, _ = loss_of(algorithm, step.episodes)
    loss.backward()
    assert difference(loss, step.arrays["o/loss"]) < CLOSE
    assert gradient_difference(pairs("g")) < CLOSE


def test_qmix() -> None:
    """PyMARL's learner."""
    step = load("qmix_pymarl")
    identity = f"agent.obs_agent_id={str(step.sizes['obs_id']).lower()}"
    algorithm = algorithm_of(step, "algo=qmix", profile(step), *hypernet_sizes(step), identity)

    def pairs(kind: str) -> Pairs:
        return agent(algorithm.agent, step.under(f"{kind}/agent")) + qmix(algorithm.mixer, step.under(f"{kind}/mixer"))

    targets = agent(algorithm.target_agent, step.under("w/target_agent"))
    check(step, algorithm, pairs, targets + qmix(algorithm.target_mixer, step.under("w/target_mixer")))


def target_central(step: Recorded, algorithm: Any) -> Pairs:
    value, n_agents = algorithm.optimal_value, step.spec.n_agents
    networks = agent(value.target_agent, step.under("w/target_central_agent"))
    return networks + central(value.target_mixer, step.under("w/target_central_mixer"), n_agents)


@pytest.mark.parametrize("algo", ["ow_qmix", "cw_qmix"])
def test_weighted_qmix(algo: str) -> None:
    """WQMIX's learner."""
    step = load(f"{algo}_wqmix")
    identity = f"agent.obs_agent_id={str(step.sizes['obs_id']).lower()}"
    hidden = f"loss.central_mixer.hidden={step.sizes['central']}"
    algorithm = algorithm_of(step, f"algo={algo}", profile(step), *hypernet_sizes(step), identity, hidden)
    value = algorithm.optimal_value

    def pairs(kind: str) -> Pairs:
        return [
            *agent(algorithm.agent, step.under(f"{kind}/agent")),
            *qmix(algorithm.mixer, step.under(f"{kind}/mixer")),
            *agent(value.agent, step.under(f"{kind}/central_agent")),
            *central(value.mixer, step.under(f"{kind}/central_mixer"), step.spec.n_agents),
        ]

    check(step, algorithm, pairs, target_central(step, algorithm))


def test_resq() -> None:
    """ResQ's learner as shipped: the raw residual, without its penalty."""
    step = load("resq_shipped")
    sizes, n_agents = step.sizes, step.spec.n_agents
    shipped = ["loss.residual.path=marlpipe.algos.resq.raw", "loss.residual_loss_factor=0.0"]
    returns = ["profile.returns._target_=marlpipe.algos.targets.lambda_targets", "+profile.returns.trace_decay=0.6"]
    hidden = [f"loss.{mixer}_mixer.hidden={sizes['central']}" for mixer in ("central", "residual")]
    algorithm = algorithm_of(step, "algo=resq", "profile=wqmix", *returns, *shipped, *hidden, *hypernet_sizes(step))
    value = algorithm.optimal_value

    def pairs(kind: str) -> Pairs:
        return [
            *agent(algorithm.agent, step.under(f"{kind}/agent")),
            *qmix(algorithm.mixer, step.under(f"{kind}/mixer")),
            *agent(algorithm.residual_agent, step.under(f"{kind}/rest_agent")),
            *central(algorithm.residual_mixer, step.under(f"{kind}/rest_mixer"), n_agents),
            *agent(value.agent, step.under(f"{kind}/central_agent")),
            *central(value.mixer, step.under(f"{kind}/central_mixer"), n_agents),
        ]

    check(step, algorithm, pairs, target_central(step, algorithm))


def test_qplex() -> None:
    """PyMARL2's learner, whose loss is half the squared error."""
    step = load("qplex_pymarl2")
    sizes = {"heads": "heads", "attention_layers": "layers", "attention_hidden": "att", "transform_hidden": "transform"}
    options = [f"loss.duplex.{ours}={step.sizes[name]}" for ours, name in sizes.items()]
    algorithm = algorithm_of(step, "algo=qplex", profile(step), *options)

    def pairs(kind: str) -> Pairs:
        mixer = recorded.duplex(algorithm.mixer, step.under(f"{kind}/mixer"))
        return agent(algorithm.agent, step.under(f"{kind}/agent")) + mixer

    targets = agent(algorithm.target_agent, step.under("w/target_agent"))
    check(step, algorithm, pairs, targets + recorded.duplex(algorithm.target_mixer, step.under("w/target_mixer")))


def test_qtran() -> None:
    """PyMARL's learner of QTRAN-base."""
    step = load("qtran_pymarl")
    layers = 3 if step.sizes["size"] == "big" else 2
    options = [f"loss.joint.hidden={step.sizes['embed']}", f"loss.joint.layers={layers}"]
    algorithm = algorithm_of(step, "algo=qtran", profile(step), *options, f"loss.nopt_factor={step.sizes['nopt']}")

    def pairs(kind: str) -> Pairs:
        mixer = step.under(f"{kind}/mixer")
        return [
            *agent(algorithm.agent, step.under(f"{kind}/agent")),
            *recorded.joint_value(algorithm.joint, mixer, step.spec.state_dim),
            *recorded.sequential(algorithm.state_value.mlp, mixer, "V"),
        ]

    joint = recorded.joint_value(algorithm.target_joint, step.under("w/target_mixer"), step.spec.state_dim)
    check(step, algorithm, pairs, agent(algorithm.target_agent, step.under("w/target_agent")) + joint)


def test_graphmix() -> None:
    """GraphMIX's learner, all agents alive."""
    step = load("graphmix_alive")
    options = [f"loss.mixing.embed={step.sizes['embed']}", f"loss.mixing.hypernet_hidden={step.sizes['hyper']}"]
    algorithm = algorithm_of(step, "algo=graphmix", "profile=wqmix", *options)

    def pairs(kind: str) -> Pairs:
        mixer = recorded.graph_attention(algorithm.mixer, step.under(f"{kind}/mixer"))
        return agent(algorithm.agent, step.under(f"{kind}/agent")) + mixer

    targets = agent(algorithm.target_agent, step.under("w/target_agent"))
    mixer = recorded.graph_attention(algorithm.target_mixer, step.under("w/target_mixer"))
    check(step, algorithm, pairs, targets + mixer)
