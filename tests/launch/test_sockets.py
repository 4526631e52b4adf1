"""Multiprocessing's sockets have short paths, however long that of temporary files is."""

import multiprocessing
import tempfile
from multiprocessing import util
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.launch.sockets import LONGEST_FOLDER, make_room_for_sockets


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, for a process that has no sockets yet."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    known = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.setitem(known, "tempdir", None)
    return folder


def test_sockets_go_where_their_paths_are_short(long: Path) -> None:
    short = tempfile.mkdtemp(prefix="s", dir="/tmp")
    make_room_for_sockets(("/no/such/folder", short))
    assert str(Path(util.get_temp_dir()).parent) == short
    assert len(short) < LONGEST_FOLDER
    assert tempfile.gettempdir() == str(long)  # of all else
    Path(util.get_temp_dir()).rmdir()
    Path(short).rmdir()


@pytest.mark.usefixtures("long")
def test_where_there_is_no_room() -> None:
    with pytest.raises(UserError, match=r"(?s)too long for sockets: .*next: set TMPDIR to a shorter path"):
        make_room_for_sockets(("/no/such/folder",))
