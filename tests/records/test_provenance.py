"""A run says which code, packages and machine it came from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import marlpipe
from marlpipe.records import provenance


def commit(folder: Path) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", "."], check=True)
    subprocess.run(["git", *who, "-C", folder, "commit", "-q", "-m", "first"], check=True)
    asked = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return asked.stdout.strip()


def test_git_commit_and_dirtiness(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    head = commit(tmp_path)
    assert provenance.git(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "code.py").write_text("a = 2\n")
    assert provenance.git(tmp_path) == {"commit": head, "dirty": True}


def test_code_that_git_does_not_know(tmp_path: Path) -> None:
    assert provenance.git(tmp_path) is None
    (tmp_path / "README").write_text("someone's repository")
    commit(tmp_path)
    environment = tmp_path / "site-packages"
    environment.mkdir()
    (environment / "code.py").write_text("a = 1\n")
    assert provenance.git(environment) is None


def test_a_machine_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    commit(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert provenance.git(tmp_path) is None


def test_versions_hold_the_stack_and_marlpipe_itself() -> None:
    versions = provenance.versions()
    assert versions["marlpipe"] == marlpipe.__version__
    assert {"torch", "lightning", "hydra-core", "wandb", "numpy"} <= set(versions)
    assert list(versions) == sorted(versions, key=str.lower)


def test_command_is_the_users_and_can_be_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(provenance.COMMAND_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "marlpipe", "+pair={a: 1}"])
    assert provenance.command_line() == "python -m marlpipe '+pair={a: 1}'"
    monkeypatch.setenv(provenance.COMMAND_VARIABLE, "python -m marlpipe -m seed=0,1")
    assert provenance.command_line() == "python -m marlpipe -m seed=0,1"


def test_hardware_counts_the_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 9}, raising=False)
    hardware = provenance.hardware()
    assert hardware["cores"] == 3
    assert hardware["cpu"]
    assert hardware["memory_gib"] > 0.1


def test_everything_goes_into_json() -> None:
    stored = json.loads(json.dumps(provenance.provenance()))
    assert set(stored) == {"command", "versions", "python", "git", "hardware"}


def test_records_and_analysis_start_without_the_heavy_packages() -> None:
    code = (
        "import sys; import marlpipe.records.folder, marlpipe.records.provenance, marlpipe.records.live, "
        "marlpipe.analysis.report; print(sorted({'torch', 'lightning', 'hydra', 'wandb'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
