"""What git knows of some code: its commit, and a patch that brings it back."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from marlpipe.runs import code_state as module
from marlpipe.runs.code_state import UNTRACKED, code_state
from tests.support.git import commit


def test_commit_and_dirtiness_are_those_of_the_code_alone(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for file in (package / "code.py", tmp_path / "elsewhere.py"):
        file.write_text("a = 1\n")
    head = commit(tmp_path)
    (tmp_path / "elsewhere.py").write_text("a = 2\n")
    (tmp_path / "secrets.yaml").write_text("token: hidden\n")
    (package / "token.txt").write_text("hidden\n")
    state = code_state([package])
    assert (state.commit, state.dirty, state.patch, state.diff, state.error) == (head, False, b"", None, None)
    (package / "code.py").write_text("a = 2\n")
    state = code_state([package])
    assert (state.commit, state.dirty, state.diff) == (head, True, sha256(state.patch).hexdigest()[:16])
    assert b"+a = 2" in state.patch
    assert b"hidden" not in state.patch


def test_the_patch_brings_the_code_back(tmp_path: Path) -> None:
    code, copy = tmp_path / "code", tmp_path / "copy"
    package = code / "package"
    package.mkdir(parents=True)
    (package / "old.py").write_text("a = 1\ndiff --git = 2\n")
    (package / "staged.py").write_text("b = 1\n")
    (package / "gone.py").write_text("c = 1\n")
    (package / "picture.bin").write_bytes(bytes(range(256)))
    (code / ".gitignore").write_text("ignored/\n")
    commit(code)
    subprocess.run(["git", "clone", "-q", code, copy], check=True)
    subprocess.run(["git", "-C", code, "config", "diff.noprefix", "true"], check=True)
    subprocess.run(["git", "-C", code, "config", "diff.relative", "true"], check=True)

    (package / "old.py").write_text("a = 2\ndiff --git = 3\nno end of line")
    (package / "staged.py").write_text("b = 2\n")
    subprocess.run(["git", "-C", code, "add", "."], check=True)
    (package / "gone.py").unlink()
    (package / "picture.bin").write_bytes(bytes(reversed(range(256))))
    (package / "new one ü.py").write_text("d = 1")
    (package / "new.yaml").write_text("e: 1\n")
    (package / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n")
    left_out = ("ignored/mine.py", "notes.txt", "results/seed=0/config.yaml", "results/seed=0/.hydra/hydra.yaml")
    for elsewhere in left_out:
        (package / elsewhere).parent.mkdir(parents=True, exist_ok=True)
        (package / elsewhere).write_text("f: 1\n")
    (package / "results" / "seed=0" / "status.json").write_text("{}")

    (tmp_path / "code.diff").write_bytes(code_state([package]).patch)
    subprocess.run(["git", "-C", copy, "apply", tmp_path / "code.diff"], check=True)
    expected, found = (
        {
            str(file.relative_to(folder)): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and not {".git", "ignored", "results"} & set(file.relative_to(folder).parts)
        }
        for folder in (code, copy)
    )
    del expected["package/notes.txt"]
    assert found == expected
    assert not (copy / "package" / "results").exists()
    assert not (copy / "package" / "ignored").exists()


def test_large_files_are_left_out_one_by_one_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.bin", "c.py", "gone.bin", "y.py", "z.py"):
        (tmp_path / name).write_text("one\n" * 300 if name == "gone.bin" else "")
    commit(tmp_path)
    for name in ("a.py", "c.py", "z.py"):
        (tmp_path / name).write_text("a = 1\n")
    (tmp_path / "b.bin").write_bytes(b"b" * 2000)
    (tmp_path / "y.py").write_text("y = 1\n" * 150)  # small for a file, large for what is left of the patch
    (tmp_path / "new.py").write_bytes(b"n = 1\n" * 500)
    (tmp_path / "gone.bin").unlink()
    monkeypatch.setattr(module, "LARGEST_FILE", 1000)
    monkeypatch.setattr(module, "LARGEST_PATCH", 1000)
    patch = code_state([tmp_path]).patch
    assert patch.count(b"+a = 1") == 3
    digests = {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("b.bin", "y.py", "new.py")}
    assert [line for line in patch.decode().splitlines() if line.startswith("#")] == [
        f"# left out: 'b.bin', 2000 bytes, sha256 {digests['b.bin']}",
        "# left out: 'gone.bin', deleted",
        f"# left out: 'y.py', 900 bytes, sha256 {digests['y.py']}",
        f"# left out: 'new.py', 3000 bytes, sha256 {digests['new.py']}",
    ]
    subprocess.run(["git", "-C", tmp_path, "checkout", "-q", "."], check=True)
    (tmp_path / "patch").write_bytes(patch)
    subprocess.run(["git", "-C", tmp_path, "apply", "patch"], check=True)
    assert [(tmp_path / name).read_text() for name in ("a.py", "c.py", "z.py")] == ["a = 1\n"] * 3


def test_code_that_git_does_not_know(tmp_path: Path) -> None:
    assert code_state([tmp_path]).error == UNTRACKED
    (tmp_path / "README").write_text("someone's repository")
    commit(tmp_path)
    environment = tmp_path / "site-packages"
    environment.mkdir()
    (environment / "code.py").write_text("a = 1\n")
    state = code_state([environment])
    assert (state.commit, state.patch, state.error, state.failed) == (None, b"", UNTRACKED, False)
    mine = code_state([environment / "code.py"], tracked=False)  # a new file of the repository's owner
    assert b"+a = 1" in mine.patch


@pytest.mark.parametrize("trouble", ["no git", "slow git", "another's", "no commit", "variables of a hook"])
def test_git_without_an_answer(trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "code.py").write_text("a = 1\n")
    head = commit(code) if trouble != "no commit" else None
    programs = tmp_path / "bin"
    programs.mkdir()
    if trouble == "no commit":
        subprocess.run(["git", "init", "-q", code], check=True)
        subprocess.run(["git", "-C", code, "add", "."], check=True)
    if trouble in ("no git", "slow git"):
        monkeypatch.setenv("PATH", str(programs))
    if trouble == "slow git":
        (programs / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
        (programs / "git").chmod(0o755)
        monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    if trouble == "another's":
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    if trouble == "variables of a hook":
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "another" / ".git"))
    state = code_state([code])
    if trouble == "variables of a hook":
        assert (state.commit, state.error) == (head, None)
        return
    expected = {
        "no git": "there is no program git",
        "slow git": f"git rev-parse in {code} took longer than ",
        "another's": f"git refuses to read {code}, which belongs to another account; to allow it: git config ",
        "no commit": f"git rev-parse in {code} failed: fatal: Needed a single revision",
    }
    assert (state.commit, state.dirty, state.patch, state.failed) == (None, None, b"", True)
    assert str(state.error).startswith(expected[trouble])
