"""What algo × partition × monotonicity × world build makes a finite gradient step; what is refused has a reason.

Every pair of options is in a quick test, all combinations are in a slow one. The options are read from conf/: a new
file is a new case.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.build import build_algorithm, build_env, build_part
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import register_resolvers
from marlpipe.errors import UserError
from marlpipe.training.rollout import rollout
from marlpipe.types import Metrics
from tests.support.composition import GradientSteps, compose
from tests.support.pairwise import Case, pairwise

OPTIONS = groups(config_folder())
WORLDS = {
    "cartpole": ["env=cartpole", "env.n_agents=4", "env.time_limit=6"],
    "payoff": ["env=payoff_lomaq"],
}
# what has no meaning, and a word of the reason that is given
FIXED = {"iql", "iql_local", "vdn", "dop", "qtran", "qtran_alt"}
NEEDS_WEIGHTS = {"hard", "abs", "softplus", "soft", "projected"}
QPRO = {algo for algo in OPTIONS["algo"] if algo.startswith("qpro")}  # with its ablations
GENERATED = {"qmix", "ow_qmix", "cw_qmix", "wqmix", "qplex", "resq", "pac", "graphmix", *QPRO}
ONE_BLOCK = {"qplex", "pac", "dop", "qtran", "qtran_alt", "graphmix"}  # a value of the whole team only
UNWEIGHTED = {"qplex", "resq", "dop", "qtran", "qtran_alt", "graphmix"}  # no projection weights
BUILT_IN_MIXER = {"qplex", "dop", "graphmix"}  # mixer=builtin, which other losses refuse
ALGOS = sorted(set(OPTIONS["algo"]) - QPRO - {"wqmix"} | {"qpro"})  # ablations and the alias have the parts of these
LENIENT = {"lomaq_rd": ["reward.tolerance_per_agent=1000.0"]}  # trusts rewards that have learned nothing yet


@pytest.fixture(scope="module", autouse=True)
def _resolvers() -> None:
    register_resolvers()


def option(group: str, name: str) -> DictConfig:
    """The node that `group=name` puts into the config."""
    node = OmegaConf.load(config_folder() / group / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    return node


def base(algo: str, world: str, *overrides: str) -> DictConfig:
    """A config that a test may change."""
    composed = compose(f"algo={algo}", *overrides, *WORLDS[world], *LENIENT.get(algo, []))
    return OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})


def combined(algo: str, partition: str, monotonicity: str, world: str) -> DictConfig:
    config = base(algo, world)
    config.partition = option("partition", partition)
    if OmegaConf.missing_keys(config.partition):
        agents = list(range(build_env(config).spec.n_agents))
        config.partition.blocks = [agents[:-1], agents[-1:]]
    config.monotonicity = option("monotonicity", monotonicity)
    return config


@cache
def n_blocks(partition: str, world: str) -> int:
    config = combined("vdn", partition, "none", world)
    return len(build_part(config, "partition", spec=build_env(config).spec))


def refusal(algo: str, partition: str, monotonicity: str, world: str) -> str | None:
    if algo in ONE_BLOCK and n_blocks(partition, world) > 1:
        return "partition=full"
    if algo in FIXED and monotonicity in NEEDS_WEIGHTS:
        return "monotone by construction"
    if algo in GENERATED and monotonicity == "projected":
        return "generated"
    return None


@cache
def chosen_cases() -> Sequence[Case]:
    """Every pair of options in what is built, and in what is refused."""
    cases = list(product(ALGOS, OPTIONS["partition"], OPTIONS["monotonicity"], WORLDS))
    refused = [case for case in cases if refusal(*case)]
    return [*pairwise([case for case in cases if case not in refused]), *pairwise(refused)]


def gradient_step(config: DictConfig) -> tuple[Metrics, Any]:
    env = build_env(config)
    algorithm = build_algorithm(config, env)
    before = [parameter.clone() for parameter in algorithm.agent.parameters()]
    batch = rollout(env, algorithm.agent, 3, 1.0, torch.Generator().manual_seed(0))
    metrics = GradientSteps(algorithm, config)(batch, epsilon=0.5)
    assert all(value.isfinite().all() for value in metrics.values())
    assert all(torch.isfinite(parameter).all() for parameter in algorithm.parameters())
    assert any((old != new).any() for old, new in zip(before, algorithm.agent.parameters(), strict=True))
    return metrics, algorithm


def check(algo: str, partition: str, monotonicity: str, world: str) -> None:
    """A gradient step, or the refusal that belongs to it."""
    torch.manual_seed(0)
    config = combined(algo, partition, monotonicity, world)
    reason = refusal(algo, partition, monotonicity, world)
    if reason is None:
        metrics, _ = gradient_step(config)
        assert metrics, f"{algo} {partition} {monotonicity} {world}"
    else:
        with pytest.raises(UserError, match=reason):
            build_algorithm(config, build_env(config))


@pytest.mark.parametrize("algo", ALGOS)
def test_pairs(algo: str) -> None:
    for case in chosen_cases():
        if case[0] == algo:
            check(*case)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # the pairs have shown that all shapes fit
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("algo", ALGOS)
def test_combinations(algo: str, world: str) -> None:
    for partition, monotonicity in product(OPTIONS["partition"], OPTIONS["monotonicity"]):
        check(algo, partition, monotonicity, world)


def some_or_all(algo: str) -> list[Any]:
    """Each projection of conf/ with some algorithm, in a quick test; with all, in a slow one."""
    every = OPTIONS["projection"]
    return [
        pytest.param(algo, [every[ALGOS.index(algo) % len(every)]], id=algo),
        pytest.param(algo, every, id=f"{algo}-all", marks=pytest.mark.slow),
    ]


@pytest.mark.usefixtures("unchecked")  # the tests above check the shapes of all that is combined here
@pytest.mark.parametrize(("algo", "projections"), [case for algo in ALGOS for case in some_or_all(algo)])
def test_projection_weights_in_every_algorithm(algo: str, projections: Sequence[str]) -> None:
    """QPro's weights in LOMAQ's blocks are one override; weights that need Q* are refused where there is none."""
    for projection in projections:
        needs_optimal_values = projection == "central" or projection.startswith("qpro")
        plain, weighted = base(algo, "cartpole"), base(algo, "cartpole", "loss=weighted_q")
        plain.projection = weighted.projection = compose(f"projection={projection}").projection
        if algo in UNWEIGHTED and projection != "uniform":
            with pytest.raises(UserError, match="projection=uniform"):
                build_algorithm(plain, build_env(plain))
            continue
        if algo in BUILT_IN_MIXER:
            with pytest.raises(UserError, match="mixer=builtin"):
                build_algorithm(weighted, build_env(weighted))
        else:
            gradient_step(weighted)
        if needs_optimal_values and "factorised_q" in plain.loss._target_:
            with pytest.raises(UserError, match=r"unrestricted Q\*"):
                build_algorithm(plain, build_env(plain))
        else:
            gradient_step(plain)


def test_local_rewards_are_refused_in_a_world_that_pays_the_team() -> None:
    with compose_api(config_folder()):
        config = compose_run(["algo=lomaq", "env=payoff"], config_folder())
    with pytest.raises(UserError, match="reward=local"):
        build_algorithm(config, build_env(config))


@pytest.mark.parametrize("enforced", ["full", "pairs"])
def test_a_penalty_enforces_a_coarser_partition_by_one_override(enforced: str) -> None:
    with compose_api(config_folder()):
        config = compose_run(
            ["algo=lomaq", "monotonicity=soft", f"+partition@monotonicity.penalty.enforced={enforced}"]
            + WORLDS["cartpole"],
            config_folder(),
        )
    _, algorithm = gradient_step(config)
    assert algorithm.monotonicity.penalty.sums.shape == ({"full": 1, "pairs": 2}[enforced], 4)
