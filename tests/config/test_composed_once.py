"""A command composes each arm once, on its whole way to the runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from marlpipe.commands import train as cli
from marlpipe.launch import local
from marlpipe.launch.run_process import Job
from marlpipe.runs.folder import RunFolder
from marlpipe.training import session

SMALL = ["env=payoff", "logger=none", "agent=feedforward", "paths.runs=."]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The overrides of each composition."""
    found: list[list[str]] = []
    before = ConfigLoaderImpl._load_configuration_impl

    def counted(
        self: ConfigLoaderImpl, config_name: str, overrides: list[str], *args: object, **kwargs: object
    ) -> object:
        found.append(overrides)
        return before(self, config_name, overrides, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", counted)
    return found


def test_a_grid(composed: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Job] = []

    def finish(_: object, jobs: Sequence[Job], root: Path) -> list[None]:
        assert root == Path()
        started.extend(jobs)
        for job in jobs:
            RunFolder(job.folder).update_status(state="finished")
        return [None] * len(jobs)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "RunPool", lambda **_: None)
    monkeypatch.setattr(local, "_run", finish)
    monkeypatch.setattr(cli, "conclude", lambda runs, **_: len(runs))
    assert cli.run([*SMALL, "algo=vdn,qmix", "seed=0,1,2"], sweep=True) == 6
    assert len(started) == 6
    assert len(composed) == 3, composed  # the two arms, and the config of the grid itself


def test_a_single_run(composed: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[DictConfig] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "train", trained.append)
    monkeypatch.setattr(cli, "conclude", lambda runs, **_: len(runs))
    assert cli.run([*SMALL, "algo=vdn"], sweep=False) == 1
    assert len(trained) == len(composed) == 1, composed
