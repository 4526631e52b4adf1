"""The run folder keeps whole files, valid JSON and readable errors."""

import json
import math
import os
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.runs.files import write_json, write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.status import Status


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "cartpole" / "qmix-1a2b3c4d" / "seed=0").create()


def test_create_keeps_what_is_there(folder: RunFolder) -> None:
    folder.last_checkpoint.write_text("kept")
    folder.create()
    assert folder.last_checkpoint.read_text() == "kept"
    assert folder.last_checkpoint == folder.path / "checkpoints" / "last.ckpt"


def test_a_run_without_a_status_file_is_queued(folder: RunFolder) -> None:
    assert folder.status == Status(state="queued", env_steps=0)
    assert not folder.status.ended


def test_status_changes_field_by_field(folder: RunFolder) -> None:
    folder.update_status(state="running", total_env_steps=1000, pid=7)
    folder.update_status(env_steps=250, eval_return=math.nan)
    status = folder.status
    assert (status.state, status.env_steps, status.total_env_steps, status.pid) == ("running", 250, 1000, 7)
    assert status.eval_return is None
    assert status.updated is not None
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == ["status.json"]  # nothing half-written


def test_status_rejects_a_field_it_does_not_have(folder: RunFolder) -> None:
    with pytest.raises(TypeError, match="env_step"):
        folder.update_status(env_step=3)


def test_status_of_a_newer_version_is_readable(folder: RunFolder) -> None:
    folder.status_file.write_text('{"state": "failed", "reason": "x", "mood": "bad"}')
    assert folder.status == Status(state="failed", reason="x")
    assert folder.status.ended


def test_a_broken_status_file_is_named(folder: RunFolder) -> None:
    folder.status_file.write_text('{"state": ')
    with pytest.raises(UserError, match=r"status\.json is not valid JSON"):
        _ = folder.status


def test_write_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.json"
    write_text(target, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"(?s)run\.json: No space left.*free some space"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_json_without_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "run.json", {"a": math.nan})
    write_json(tmp_path / "run.json", {"a": [1, None]})
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": [1, None]}


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "cartpole").write_text("not a folder")
    with pytest.raises(UserError, match=r"(?s)cannot make the run folder .*cartpole.*move it away"):
        RunFolder(tmp_path / "cartpole" / "qmix").create()


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*status\.json"):
        RunFolder(tmp_path / "nowhere").update_status(state="running")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_explained(folder: RunFolder) -> None:
    folder.metrics.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"(?s)cannot write .*metrics\.jsonl.*disk is full"):
        folder.append_metrics({"env_steps": 1})


def test_pictures_of_a_moment_are_files_of_its_own(folder: RunFolder, tmp_path: Path) -> None:
    assert folder.pictures_at(40) == []
    (tmp_path / "elsewhere.gif").write_bytes(b"GIF89a")
    folder.pictures.mkdir()
    mine = [folder.picture("episode", 40, ".gif"), folder.picture("table", 40, ".png")]
    others = [folder.picture("episode", 1_000_000_040, ".gif"), folder.picture("episode", 400, ".gif")]
    foreign = [folder.pictures / name for name in ("a_000000040.svg", ".7.episode_000000040.gif", "000000040.gif")]
    for path in (*others, *foreign, *reversed(mine)):
        path.write_bytes(b"")
    folder.picture("linked", 40, ".gif").symlink_to(tmp_path / "elsewhere.gif")
    folder.picture("folder", 40, ".gif").mkdir()
    os.mkfifo(folder.picture("pipe", 40, ".gif"))
    assert [path.name for path in mine] == ["episode_000000040.gif", "table_000000040.png"]
    assert folder.pictures_at(40) == mine
    assert folder.pictures_at(1_000_000_040) == others[:1]


def test_pictures_behind_a_link_are_nobodys(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "episode_000000040.gif").write_bytes(b"GIF89a")
    folder.pictures.symlink_to(tmp_path / "elsewhere")
    assert folder.pictures_at(40) == []


def test_an_error_with_text_that_utf_8_lacks_is_recorded(folder: RunFolder) -> None:
    """As Python makes it of file names that are no UTF-8."""
    folder.record_end("failed", "no file \udcff", log="Traceback: \udcff")
    assert folder.status.reason == "no file "
    assert (folder.path / "error.log").read_text(encoding="utf-8") == "Traceback: \\udcff"
