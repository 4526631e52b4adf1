"""Run folders are found wherever they lie, also on another disk behind a link, and none is left out in silence."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity

NOBODY = 65534  # an account without rights
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "multirun"


def made(arm: Path, seed: int) -> Path:
    """A run that has a status."""
    RunFolder(arm / f"seed={seed}").create().update_status(state="finished")
    return arm / f"seed={seed}"


def found(*roots: Path) -> list[Path]:
    return [folder.path for folder in find_folders(roots)]


def test_a_run_that_was_moved_to_another_disk(root: Path, tmp_path: Path, capsys: Capture) -> None:
    arm, scratch = root / "cartpole" / "qmix-1a2b", tmp_path / "scratch"
    seeds = [made(arm, seed) for seed in (0, 1)]
    shutil.move(seeds[0], scratch)
    seeds[0].symlink_to(scratch)
    assert found(root) == seeds  # under the names that they were given, in their order
    assert identity(RunFolder(seeds[0])).algo == "qmix"
    assert found(seeds[0]) == [seeds[0]]
    assert capsys.readouterr().err == ""


def test_a_folder_without_runs_is_named_where_others_have_some(root: Path, tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path / "scratch" / "vdn-1", 0)
    run = made(root / "qmix-1", 0)
    (root / "linked").symlink_to(tmp_path / "scratch")
    (tmp_path / "empty").mkdir()
    assert len(found(root, run, tmp_path / "empty", root / "linked", tmp_path / "scratch")) == 2
    assert capsys.readouterr().err == f"no run is in {tmp_path / 'empty'}\n"


def test_a_folder_above_the_runs_may_be_a_link(root: Path, tmp_path: Path) -> None:
    kept = made(tmp_path / "scratch" / "cartpole" / "vdn-1", 0)
    root.mkdir()
    (root / "old").symlink_to(tmp_path / "scratch")
    assert found(root) == [root / "old" / kept.relative_to(tmp_path / "scratch")]
    assert found(root / "old") == found(root)


def test_loops_end_and_a_run_has_its_plain_path(root: Path) -> None:
    run = made(root / "cartpole" / "vdn-1", 0)
    (root / "again").symlink_to("cartpole")
    (root / "cartpole" / "above").symlink_to(root)
    (root / "cartpole" / "itself").symlink_to("itself")
    (root / "a_latest").symlink_to(run)
    assert found(root) == [run]
    assert found(root / "again", root) == [root / "again" / "vdn-1" / "seed=0"]


def test_a_link_inside_a_run_is_not_followed(root: Path, tmp_path: Path) -> None:
    run = made(root / "cartpole" / "vdn-1", 0)
    made(tmp_path / "elsewhere", 0)
    (run / "pictures").mkdir()
    for stranger in (run / "more", run / "pictures" / "more"):
        stranger.symlink_to(tmp_path / "elsewhere")
    assert found(root) == [run]


def test_a_link_that_leads_nowhere_is_named_once(root: Path, capsys: Capture) -> None:
    run = made(root / "cartpole" / "vdn-1", 0)
    link = run.with_name("seed=1")
    link.symlink_to("/no/such\n/disk")
    for _ in range(2):
        assert found(root) == [run]
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"left out: {link} is a link to /no/such/disk, which cannot be followed: No such file or directory"


@contextmanager
def without_rights() -> Iterator[None]:
    """As an account that may not read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_named(capsys: Capture) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own is not for other accounts
        Path(folder).chmod(0o755)
        run, locked = made(Path(folder) / "cartpole" / "vdn-1", 0), Path(folder) / "locked"
        (locked / "below").mkdir(parents=True)
        link = Path(folder) / "link"
        link.symlink_to(locked / "below")
        locked.chmod(0o0)
        with without_rights():
            assert found(Path(folder)) == [run]
        locked.chmod(0o700)
    told = capsys.readouterr().err
    assert f"left out: {locked} cannot be searched: Permission denied\n" in told
    assert f"left out: {link} is a link to {locked / 'below'}, which cannot be followed: Permission denied\n" in told
