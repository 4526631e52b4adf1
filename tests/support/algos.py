"""The algorithms of conf/algo as cases of tests that train each of them."""

import pytest

from marlpipe.config.folder import config_folder, groups

# what trains and stores nothing that another one would not: aliases, ablations, other targets or weights
VARIANTS = {"cw_qmix", "ow_qmix", "wqmix", "iql", "iql_local", "vdn", "lomaq"}
VARIANTS |= {algo for algo in groups(config_folder())["algo"] if algo.startswith("qpro_")}
ALGOS = [
    pytest.param(algo, marks=[pytest.mark.slow] if algo in VARIANTS else [])
    for algo in sorted(groups(config_folder())["algo"])
]
