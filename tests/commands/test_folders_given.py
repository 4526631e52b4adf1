"""Folders and devices that a verb is given: none stands for another one."""

from pathlib import Path

import pytest

from marlpipe.commands.command_line.device import usable
from marlpipe.commands.command_line.verbs import run, verbs
from marlpipe.errors import UserError

OF_FOLDERS = ("compare", "evaluate", "report", "reproduce", "status", "sync")


@pytest.mark.parametrize("name", OF_FOLDERS)
def test_an_empty_name_is_not_this_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `marlpipe status "$RUNS"`, where RUNS is not set."""
    (tmp_path / "multirun").mkdir()
    monkeypatch.chdir(tmp_path)
    assert name in verbs()
    with pytest.raises(UserError, match=r"the name of a folder is empty.*\n.*which \. is the one that you are in"):
        run([name, ""])


@pytest.mark.parametrize("name", ["compare", "report", "reproduce"])
def test_an_empty_place_to_write_to(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--out: the name of a folder is empty"):
        run([name, str(tmp_path), "--out="])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in OF_FOLDERS:
        with pytest.raises(UserError, match=r"file is a file, and no folder"):
            run([name, str(tmp_path / "file")])


def test_more_than_anyone_can_play(tmp_path: Path) -> None:
    for words in (["evaluate", str(tmp_path), "--episodes=99999999"], ["check_env", "--copies=99999999"]):
        with pytest.raises(UserError, match="=99999999 is not possible"):
            run(words)


@pytest.mark.parametrize("device", ["meta", "nonsense", "", "cuda:99"])
def test_a_device_that_computes_nothing(device: str) -> None:
    with pytest.raises(UserError, match=f"^--device={device} cannot be used"):
        usable(device)


@pytest.mark.parametrize(
    ("words", "what"), [([""], "the name of a folder or project"), (["a/b", "--entity="], "--entity")]
)
def test_an_empty_project(words: list[str], what: str) -> None:
    with pytest.raises(UserError, match=f"^{what} is empty"):
        run(["dashboard", *words, "--dry-run"])
