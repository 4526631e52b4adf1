"""A module is renamed between kill and resume: the run has the same folder, and ends with the same bits."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marlpipe.commands.drill.verdict import departures
from marlpipe.runs.folder import RunFolder
from tests.support.repository import ROOT

SHORT = ("env_steps=1000", "record_every_env_steps=100", "evaluation.every_env_steps=300", "evaluation.episodes=2")
SMALL = (*SHORT, "checkpoint_minutes=0", "logger=none", "threads=1", "profile.batch_episodes=4", "agent.hidden=8")
METHODS = ("qmix", "lomaq_rd", "qpro", "pac")
RENAMED = {  # what the methods are made of, and what writes their checkpoints
    "marlpipe.models.mixers.hypernet": "marlpipe.models.mixers.generated_mixer",
    "marlpipe.models.agents.gru": "marlpipe.models.agents.gated",
    "marlpipe.algos.factorised_q": "marlpipe.algos.q_of_factors",
    "marlpipe.training.replay": "marlpipe.training.episode_store",
    "marlpipe.training.callbacks.recorder": "marlpipe.training.callbacks.bookkeeper",
}


def rename_modules(checkout: Path) -> None:
    """As a refactoring does it: the files, and every place that names them."""
    for old, new in RENAMED.items():
        path = checkout.joinpath(*old.split(".")).with_suffix(".py")
        path.rename(checkout.joinpath(*new.split(".")).with_suffix(".py"))
    for folder in ("marlpipe", "conf", "hydra_plugins"):
        for file in (file for file in (checkout / folder).rglob("*") if file.suffix in (".py", ".yaml")):
            text = file.read_text(encoding="utf-8")
            for old, new in RENAMED.items():
                text = re.sub(rf"\b{re.escape(old)}\b", new, text)
            file.write_text(text, encoding="utf-8")


def start(checkout: Path, inside: Path, method: str) -> "subprocess.Popen[bytes]":
    inside.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "marlpipe", *SMALL, "env=navigation_pair", f"algo={method}"]
    return subprocess.Popen(command, cwd=inside, env=environment)


def only_run(inside: Path) -> RunFolder:
    [seed] = inside.glob("multirun/*/*/seed=0")
    return RunFolder(seed)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_run_resumes_after_a_refactoring(method: str, tmp_path: Path) -> None:
    checkout, whole, killed = (tmp_path / name for name in ("checkout", "whole", "killed"))
    for folder in ("marlpipe", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert start(checkout, whole, method).wait(300) == 0
    process = start(checkout, killed, method)
    while not (list(killed.glob("multirun/*/*/seed=0/checkpoints/last.ckpt")) and only_run(killed).read_metrics()[3:]):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert only_run(killed).status.state == "running"
    rename_modules(checkout)
    assert start(checkout, killed, method).wait(300) == 0
    assert only_run(killed).path.relative_to(killed) == only_run(whole).path.relative_to(whole)
    assert any(new in only_run(killed).config.read_text() for new in RENAMED.values())
    assert departures(only_run(whole), only_run(killed)) == []
