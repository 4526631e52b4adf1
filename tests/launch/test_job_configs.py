"""The launcher's configs are those that Hydra would compose."""

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.launch.job_configs import JobConfigs
from marlpipe.launch.run_task import job_folder, modules_of

JOBS = [
    ["algo=lomaq", "seed=0", "env=cartpole"],
    ["algo=lomaq", "seed=11", "env=cartpole"],
    ["algo=lomaq", "seed=2", "env=cartpole", "+note=seed"],
    ["algo=vdn", "seed=0", "env=payoff"],
    ["seed=5", "algo=vdn", "env=payoff", "hydra.launcher.threads=1"],
    ["algo=vdn", "env=payoff", "partition=pairs"],
    ["algo=vdn", "env=payoff", "seed=1", "seed=2"],
]


def plain(config: DictConfig) -> object:
    return OmegaConf.to_container(config, resolve=False)


def test_as_hydra_composes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    register_resolvers()
    setup_globals()
    with compose_api(config_folder()):
        application = GlobalHydra.instance().hydra
        assert application is not None
        loader = application.config_loader
        sweep = loader.load_configuration("train", ["logger=none"], run_mode=RunMode.MULTIRUN)
        context = HydraContext(config_loader=loader, callbacks=None)  # type: ignore[arg-type]
        expected = [loader.load_sweep_config(sweep, job) for job in JOBS]
        asked: list[list[str]] = []
        monkeypatch.setattr(
            loader,
            "load_sweep_config",
            lambda master, job, load=loader.load_sweep_config: (asked.append(job), load(master, job))[1],
        )
        configs = JobConfigs(context, sweep)
        made = [configs.config(job, number) for number, job in enumerate(JOBS)]
    assert asked == [JOBS[0], JOBS[2], JOBS[3], JOBS[4], JOBS[5]]
    for number, (config, hydras) in enumerate(zip(made, expected, strict=True)):
        assert (config.hydra.job.id, config.hydra.job.num) == (str(number), number)
        hydras.hydra.job.id, hydras.hydra.job.num = str(number), number
        assert plain(config) == plain(hydras)
        assert job_folder(config) == job_folder(hydras)
        assert config.hydra.sweep.subdir == hydras.hydra.sweep.subdir  # the run's folder, seed included


def test_the_modules_of_a_runs_parts() -> None:
    register_resolvers()
    with compose_api(config_folder()):
        config = compose_run(["algo=vdn", "env=payoff", "logger=wandb"], Path(config_folder()))
    found = modules_of(config)
    assert {"marlpipe.envs.payoff", "marlpipe.wandb.sink", "marlpipe.algos.targets", "torch.optim"} <= found
    assert not any("launcher" in module or "sweeper" in module for module in found)
