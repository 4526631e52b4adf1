"""What a start does not wait for."""

import json
import subprocess
import sys
from types import SimpleNamespace

from hydra.utils import instantiate

from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers


def test_a_command_loads_no_sink_that_it_may_not_use_and_collects_garbage_again() -> None:
    code = "import gc, json, sys, marlpipe.__main__; print(json.dumps(['wandb' in sys.modules, gc.isenabled()]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True]


def test_a_grid_is_composed_by_its_check_alone() -> None:
    register_resolvers()
    with compose_api(config_folder()):
        sweeper = compose_run(["+experiment=lomaq/fig5_cartpole"], config_folder()).hydra.sweeper
    assert sweeper.params  # those of the experiment
    launched: list[list[str]] = []
    grid = instantiate(sweeper)
    grid.hydra_context = SimpleNamespace(config_loader=None)  # there is no loader to ask
    grid.launcher = SimpleNamespace(launch=lambda batch, **_: launched.extend(batch) or [])
    grid.sweep(["there=is none", "seed=0,1"])
    assert "there=is\\ none" in launched[0]
