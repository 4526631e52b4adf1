"""The algorithms and worlds of conf/ as cases of tests that play or train each of them; variants are slow tests."""

import pytest
from omegaconf import OmegaConf

from marlpipe.config.folder import config_folder, groups

# what trains and stores nothing that another one would not: aliases, ablations, other targets or weights
VARIANTS = {"cw_qmix", "ow_qmix", "wqmix", "iql", "iql_local", "vdn", "lomaq"}
VARIANTS |= {algo for algo in groups(config_folder())["algo"] if algo.startswith("qpro_")}
ALGOS = [
    pytest.param(algo, marks=[pytest.mark.slow] if algo in VARIANTS else [])
    for algo in sorted(groups(config_folder())["algo"])
]


def _target(world: str) -> str:
    return str(OmegaConf.load(config_folder() / "env" / f"{world}.yaml").get("_target_"))


NAMES = sorted(groups(config_folder())["env"])
FIRST = {_target(world): world for world in reversed(NAMES)}  # of each class
WORLDS = [pytest.param(world, marks=[] if world in FIRST.values() else [pytest.mark.slow]) for world in NAMES]
