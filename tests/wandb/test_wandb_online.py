"""Runs that are online, against a server of the tests' own: what it has afterwards, and that nobody waits for it."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from marlpipe.runs.files import write_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.sinks import Sink
from marlpipe.wandb import run as wandb_run
from marlpipe.wandb import sink as sink_module
from marlpipe.wandb.log import history
from marlpipe.wandb.run import open_run
from marlpipe.wandb.sink import WandbSink, wandb_sink
from tests.support.git import commit
from tests.support.waiting import wait_until
from tests.wandb.wandb_server import WandbServer, wandb_at


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    with WandbServer() as server, wandb_at(server, monkeypatch, tmp_path):
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "cartpole" / "qmix-1a2b" / "seed=0").create()
    choices = {"algo": "qmix", "env": "cartpole", "partition": "full", "monotonicity": "abs", "profile": "quick"}
    told = {"choices": choices, "arm": "1a2b", "label": "qmix", "seed": 0, "versions": {"marlpipe": "0.1.0"}}
    write_json(folder.run, {**told, "git": {"commit": "f00d"}})
    return folder


def rows(folder: RunFolder, begin: int, end: int) -> None:
    for number in range(begin, end):
        folder.append_metrics({"env_steps": 100 * number, "train/loss": number / 8, "eval/return_mean": 10.0 * number})


def tell(folder: RunFolder, sink: Sink) -> None:
    """As a run does that begins, or goes on."""
    for number, row in enumerate(folder.read_metrics()):
        sink.log(row, number)


def logging(folder: RunFolder, **changes: Any) -> Any:
    settings: dict[str, Any] = {"project": "study", "entity": None, "mode": "auto", "tags": ["debug"]}
    settings |= {"config": {"env_steps": 700}, "save_policy": False, "save_code": False}
    return wandb_sink(folder=folder, **{**settings, **changes})


def train(folder: RunFolder, *, interrupted: bool = False, **changes: Any) -> None:
    with logging(folder, **changes) as [sink]:
        tell(folder, sink)
        if interrupted:
            raise KeyboardInterrupt


def test_a_run_that_is_interrupted_and_goes_on(
    server: WandbServer, folder: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    """It goes on at the row where it was, without a word about those that W&B has."""
    folder.best_policy.write_bytes(b"a policy")
    rows(folder, 0, 4)
    with pytest.raises(KeyboardInterrupt):
        train(folder, interrupted=True)
    [(name, run)] = server.runs.items()
    assert name == folder.wandb_id.read_text().strip()
    assert (run.state, run.exit_code) == ("failed", 1)
    rows(folder, 4, 7)
    train(folder, save_policy=True)
    assert list(server.runs) == [name]
    assert [(row["_step"], row["env_steps"]) for row in run.history] == [(n, 100 * n) for n in range(7)]
    assert (run.state, run.exit_code) == ("finished", 0)
    assert (run.group, run.job_type) == ("qmix-cartpole-full-abs-quick-1a2b", "train")
    assert (run.display_name, list(run.tags)) == ("qmix cartpole seed 0", ["debug"])
    assert {"algo": "qmix", "seed": 0, "arm": "1a2b", "commit": "f00d"}.items() <= run.config.items()
    assert {"final/return": 60.0, "best/return": 60.0, "best/env_steps": 600}.items() <= run.summary.items()
    assert "marlpipe/run.json" in run.files
    [policy] = [artifact for artifact in server.artifacts.values() if artifact["type"] == "model"]
    assert b"a policy" in policy["files"].values()
    told = capfd.readouterr()
    assert told.out.count("W&B online: ") == 2
    assert "WARNING" not in told.err
    assert server.errors == []


def test_nothing_of_the_repository_around_is_sent(
    server: WandbServer, folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by an account that saves code, nor by W&B's own look at git."""
    (tmp_path / "mine.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("home/\ncartpole/\n")
    head = commit(tmp_path)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", "https://user:hidden@example.org/x"], check=True)
    (tmp_path / "mine.py").write_text("hidden = 2\n")
    folder.code_diff.write_text("+hidden\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SAVE_CODE", "true")
    train(folder, save_code=False)
    [run] = server.runs.values()
    files = set(run.files) - {"wandb-metadata.json", "wandb-summary.json", "config.yaml", "requirements.txt"}
    assert files == {"marlpipe/run.json"}
    sent = b"".join(run.files.values()) + json.dumps(run.config).encode()
    assert b"hidden" not in sent
    assert head.encode() not in sent
    assert server.artifacts == {}


@pytest.mark.parametrize("trouble", ["absent", "failing", "hanging", "slow"])
def test_training_does_not_wait_for_a_server_in_trouble(
    trouble: str, server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sink_module, wandb_run):
        monkeypatch.setattr(module, "INIT_TIMEOUT_S", 4.0)
        monkeypatch.setattr(module, "FINISH_TIMEOUT_S", 2.0)
    if trouble == "absent":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port of "discard": nobody listens
    server.failing, server.hanging = trouble == "failing", trouble == "hanging"
    server.delay_s = 1.5 if trouble == "slow" else 0.0
    started = time.monotonic()
    with logging(folder) as [sink]:
        for number in range(500):
            rows(folder, number, number + 1)
            sink.log(folder.read_metrics()[-1] if number == 0 else {"env_steps": 100 * number}, number)
        told = time.monotonic()
    assert told - started < 3.0  # less than it takes to find out that nobody answers
    assert time.monotonic() - told < 15.0
    if trouble != "slow":  # that one is online, later
        wait_until(lambda: len(history(folder.wandb)) == 500)


def test_a_server_that_breaks_down_takes_nothing_with_it(
    server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not take is in the folder, from where marlpipe.wandb.sync sends it."""
    monkeypatch.setattr(sink_module, "FINISH_TIMEOUT_S", 1.0)
    monkeypatch.setattr(wandb_run, "FINISH_TIMEOUT_S", 1.0)
    server.breaks_at = 3
    rows(folder, 0, 20)
    run = open_run(folder=folder, project="study", group="g", name="n", config={}, comparison={})
    assert isinstance(run, wandb.Run)
    sink = WandbSink(run=run, folder=folder)
    tell(folder, sink)
    started = time.monotonic()
    sink.finish()
    assert time.monotonic() - started < 10
    assert len(next(iter(server.runs.values())).history) == 3
    assert len(history(folder.wandb, "run-*")) == 20
