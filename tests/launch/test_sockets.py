"""Multiprocessing's sockets have short paths, however long that of temporary files is."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.launch.sockets import make_room_for_sockets
from tests.support.repository import ROOT


@pytest.fixture
def long(tmp_path: Path) -> Path:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    return folder


def test_sockets_go_where_their_paths_are_short(long: Path) -> None:
    code = (
        "import sys, tempfile; from multiprocessing import util\n"
        "from marlpipe.launch.sockets import make_room_for_sockets\n"
        "make_room_for_sockets(sys.argv[1:]); print(util.get_temp_dir(), tempfile.gettempdir())"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        asked = subprocess.run(
            [sys.executable, "-c", code, "/no/such/folder", short],
            env={**os.environ, "TMPDIR": str(long), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        sockets, others = asked.stdout.split()
        assert str(Path(sockets).parent) == short
        assert others == str(long)
        assert os.listdir(short) == []  # removed at the end


def test_where_there_is_no_room(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(UserError, match=r"(?s)too long for sockets: .*next: set TMPDIR to a shorter path"):
        make_room_for_sockets(())
