"""A run says which code, packages and machine it came from."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import marlpipe
from marlpipe.runs import provenance


def commit(folder: Path) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", "."], check=True)
    subprocess.run(["git", *who, "-C", folder, "commit", "-q", "-m", "first"], check=True)
    asked = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return asked.stdout.strip()


@pytest.fixture(autouse=True)
def found_out_anew() -> Iterator[None]:
    """What a process remembers of its code is of no use where a test changes that."""
    provenance.code_diff.cache_clear()
    yield
    provenance.code_diff.cache_clear()


def test_git_commit_and_dirtiness(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    head = commit(tmp_path)
    assert provenance.git(tmp_path) == {"commit": head, "dirty": False, "diff": None}
    (tmp_path / "code.py").write_text("a = 2\n")
    provenance.code_diff.cache_clear()
    told = provenance.git(tmp_path)
    assert told == {
        "commit": head,
        "dirty": True,
        "diff": hashlib.sha256(provenance.code_diff(tmp_path)).hexdigest()[:16],
    }


def test_the_diff_brings_the_code_back(tmp_path: Path) -> None:
    code, copy = tmp_path / "code", tmp_path / "copy"
    package = code / "package"
    package.mkdir(parents=True)
    (package / "old.py").write_text("a = 1\ndiff --git = 2\n")
    (package / "staged.py").write_text("b = 1\n")
    (package / "gone.py").write_text("c = 1\n")
    (code / "picture.bin").write_bytes(bytes(range(256)))
    (code / ".gitignore").write_text("ignored/\n")
    commit(code)
    subprocess.run(["git", "clone", "-q", code, copy], check=True)
    subprocess.run(["git", "-C", code, "config", "diff.noprefix", "true"], check=True)
    subprocess.run(["git", "-C", code, "config", "diff.relative", "true"], check=True)

    (package / "old.py").write_text("a = 2\ndiff --git = 3\nno end of line")
    (package / "staged.py").write_text("b = 2\n")
    subprocess.run(["git", "-C", code, "add", "."], check=True)
    (package / "gone.py").unlink()
    (code / "picture.bin").write_bytes(bytes(reversed(range(256))))
    (code / "new one ü.py").write_text("d = 1")
    (package / "new.yaml").write_text("e: 1\n")
    (package / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n")
    for elsewhere in ("ignored/mine.py", "notes.txt", "results/seed=0/config.yaml", "results/seed=0/.hydra/hydra.yaml"):
        (code / elsewhere).parent.mkdir(parents=True, exist_ok=True)
        (code / elsewhere).write_text("f: 1\n")
    (code / "results" / "seed=0" / "status.json").write_text("{}")

    (tmp_path / "code.diff").write_bytes(provenance.code_diff(package))
    subprocess.run(["git", "-C", copy, "apply", tmp_path / "code.diff"], check=True)
    expected, found = (
        {
            str(file.relative_to(folder)): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and not {".git", "ignored", "results"} & set(file.relative_to(folder).parts)
        }
        for folder in (code, copy)
    )
    del expected["notes.txt"]
    assert found == expected
    assert not (copy / "results").exists()
    assert not (copy / "ignored").exists()


def test_a_large_diff_is_cut_between_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("")
    commit(tmp_path)
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "b.py").write_text("b = 1\n" * 500)
    monkeypatch.setattr(provenance, "LARGEST_DIFF", 500)
    diff = provenance.code_diff(tmp_path)
    assert b"+a = 1" in diff
    assert b"b = 1" not in diff
    assert diff.endswith(b"\n# More differs than fits here: from this place on it is left out.\n")
    subprocess.run(["git", "-C", tmp_path, "checkout", "-q", "."], check=True)
    (tmp_path / "cut").write_bytes(diff)
    subprocess.run(["git", "-C", tmp_path, "apply", "cut"], check=True)
    assert (tmp_path / "a.py").read_text() == "a = 1\n"


def test_the_diff_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, file = tmp_path / "code", tmp_path / "code.diff"
    code.mkdir()
    (code / "code.py").write_text("a = 1\n")
    commit(code)
    monkeypatch.setattr(provenance, "SOURCE", code)
    provenance.write_code_diff(file)
    assert not file.exists()
    (code / "code.py").write_text("a = 2\n")
    provenance.write_code_diff(file)
    assert not file.exists()  # that is not the code that was loaded
    provenance.code_diff.cache_clear()
    provenance.write_code_diff(file)
    assert file.read_bytes() == provenance.code_diff(code) != b""


def test_packages_by_what_is_imported() -> None:
    assert provenance.packaged(["marlpipe", "numpy", "yaml", "never_installed"]) == {
        "marlpipe": marlpipe.__version__,
        "numpy": version("numpy"),
        "PyYAML": version("PyYAML"),
        "never_installed": None,
    }


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
        "import sys; import marlpipe.runs.folder, marlpipe.runs.provenance, marlpipe.runs.live, "
        "marlpipe.analysis.report.report; print(sorted({'torch', 'lightning', 'hydra', 'wandb'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
