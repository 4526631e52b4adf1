"""A run says which code, packages and machine it came from."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

import marlpipe
from marlpipe.runs import provenance
from tests.support.git import commit


@pytest.fixture(autouse=True)
def found_out_anew() -> Iterator[None]:
    """What a process remembers of its code is of no use where a test changes that."""
    remembered = (provenance.own_state, provenance.users_states, provenance.software_and_machine)
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def test_the_diff_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, file = tmp_path / "code", tmp_path / "code.diff"
    code.mkdir()
    (code / "code.py").write_text("a = 1\n")
    head = commit(code)
    monkeypatch.setattr(provenance, "SOURCE", code)
    provenance.write_code_diff(file)
    assert not file.exists()
    assert provenance.git() == {"commit": head, "dirty": False, "diff": None}
    (code / "code.py").write_text("a = 2\n")
    provenance.write_code_diff(file)
    assert not file.exists()  # that is not the code that was loaded
    provenance.own_state.cache_clear()
    provenance.write_code_diff(file)
    assert b"+a = 2" in file.read_bytes()
    assert provenance.git() == {"commit": head, "dirty": True, "diff": sha256(file.read_bytes()).hexdigest()[:16]}


def test_the_users_own_files_are_recorded_by_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in marlpipe's repository are a part of one patch, the others follow the name of theirs."""
    ours, theirs, file = tmp_path / "ours", tmp_path / "theirs", tmp_path / "code.diff"
    for module in (ours / "marlpipe" / "a.py", ours / "mine.py", theirs / "worlds.py", theirs / "other.py"):
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("a = 1\n")
    commit(ours)
    head = commit(theirs)
    for module in (ours / "mine.py", theirs / "worlds.py", theirs / "other.py"):
        module.write_text("a = 2\n")
    monkeypatch.setattr(provenance, "SOURCE", ours / "marlpipe")
    files = (ours / "mine.py", theirs / "worlds.py", tmp_path / "in_no_repository.py")
    provenance.write_code_diff(file, files)
    lines = [line for line in file.read_text().splitlines() if line.startswith(("diff", "#"))]
    assert lines == [
        "diff --git a/mine.py b/mine.py",
        f"# in the repository theirs, at its commit {head}:",
        "diff --git a/worlds.py b/worlds.py",
    ]
    recorded = provenance.users_code(files)
    assert list(recorded) == ["ours", "theirs"]
    assert (recorded["theirs"]["commit"], recorded["theirs"]["dirty"], recorded["theirs"]["error"]) == (
        head,
        True,
        None,
    )
    assert provenance.git() == {"commit": recorded["ours"]["commit"], "dirty": False, "diff": None}


def test_a_wheel_in_a_repository_of_ones_own_records_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed, file = tmp_path / ".venv" / "site-packages" / "marlpipe", tmp_path / "code.diff"
    (installed / "conf").mkdir(parents=True)
    (installed / "types.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text(".venv/\n")
    (tmp_path / "mine.py").write_text("a = 1\n")
    commit(tmp_path)
    (tmp_path / "mine.py").write_text("a = 2\n")
    (tmp_path / "secrets.yaml").write_text("token: hidden\n")
    monkeypatch.setattr(provenance, "SOURCE", installed)
    provenance.write_code_diff(file)
    assert not file.exists()
    assert provenance.git() is None
    assert provenance.provenance()["git_error"] == "git does not track this code"
    assert capsys.readouterr().err == ""


def test_a_checkout_that_git_refuses_is_one_line_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    commit(tmp_path)
    monkeypatch.setattr(provenance, "SOURCE", tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    stored = [provenance.provenance() for _ in range(2)]
    err = capsys.readouterr().err
    assert err.startswith("warning: the commit or the changes of the code are not recorded: git refuses to read ")
    assert err.endswith(f"to allow it: git config --global --add safe.directory {tmp_path}\n")
    assert err.count("\n") == 1
    assert stored[0]["git"] is None
    assert str(stored[0]["git_error"]) in err


def test_packages_by_what_is_imported() -> None:
    assert provenance.packaged(["marlpipe", "numpy", "yaml", "never_installed"]) == {
        "marlpipe": marlpipe.__version__,
        "numpy": version("numpy"),
        "PyYAML": version("PyYAML"),
        "never_installed": None,
    }


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
    assert set(stored) == {"command", "versions", "python", "git", "git_error", "hardware"}


def test_records_and_analysis_start_without_the_heavy_packages() -> None:
    code = (
        "import sys; import marlpipe.runs.folder, marlpipe.runs.provenance, marlpipe.runs.live, "
        "marlpipe.analysis.report.report; print(sorted({'torch', 'lightning', 'hydra', 'wandb'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
