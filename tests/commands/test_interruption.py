"""Runs that are cut off, by a person, a full disk or a lost folder: they say so, and lose nothing that was recorded."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.runs.folder import RunFolder
from tests.commands.terminal import SHORT, Process, SmallDisk, ended, run, start
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

OFTEN = ("env_steps=2000", "evaluation.every_env_steps=200", "record_every_env_steps=100")
TWO_AT_A_TIME = "hydra.launcher.processes=2"
OF_THE_CLOCK = {"wall_s", "time/env_steps_per_s"}
FULL = "The disk is full: free some space, then issue the same command again"


def planned(folder: Path, *arguments: str) -> list[RunFolder]:
    """The run folders of a command that is issued in a folder."""
    register_resolvers()
    return [RunFolder(folder / path) for path in planned_folders([*SHORT, *arguments], config_folder(), sweep=True)]


def rows(folder: RunFolder) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in OF_THE_CLOCK} for row in folder.read_metrics()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, float]]]:
    """The rows of two seeds that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = run(folder, "seed=0,1", *OFTEN, TWO_AT_A_TIME, grid=True)
    assert code == 0, out + err
    return [rows(one) for one in planned(folder, "seed=0,1", *OFTEN)]


def stopped(process: Process, folders: list[RunFolder]) -> tuple[int, str, str]:
    """After a Ctrl-C once all runs have recorded a little."""
    with process:
        wait_until(lambda: process.poll() is not None or all(len(folder.read_metrics()) > 2 for folder in folders))
        os.killpg(process.pid, signal.SIGINT)
        return ended(process)


@pytest.mark.parametrize("words", [["seed=0"], ["seed=0,1", TWO_AT_A_TIME]])
def test_ctrl_c_and_the_same_command_again(
    words: list[str], whole: list[list[dict[str, float]]], tmp_path: Path
) -> None:
    folders = planned(tmp_path, *words, *OFTEN)
    code, _, err = stopped(start(tmp_path, *words, *OFTEN, grid=len(folders) > 1), folders)
    assert code == 130, err
    assert "stopped. The same command goes on where" in err.splitlines()[-1]
    for folder in folders:
        assert folder.status.state == "interrupted"
        assert folder.status.reason == "stopped by SIGINT"
        assert 2 < len(folder.read_metrics()) < len(whole[0])
    code, out, err = run(tmp_path, *words, *OFTEN, grid=len(folders) > 1)
    assert code == 0, out + err
    assert [folder.status.state for folder in folders] == ["finished"] * len(folders)
    assert [rows(folder) for folder in folders] == whole[: len(folders)]


def test_a_full_disk_ends_a_run_which_goes_on_once_there_is_room(small_disk: SmallDisk, tmp_path: Path) -> None:
    neighbour = RunFolder(small_disk.path / "neighbour").create()
    neighbour.append_metrics({"env_steps": 7})
    neighbour.update_status(state="finished")
    (folder,) = planned(small_disk.path.parent, "paths.runs=disk")
    for leaving_kib, minutes in ((0, 5), (36, 0), (80, 0)):
        small_disk.fill(leaving_kib=leaving_kib)
        command = ["paths.runs=disk", f"checkpoint_minutes={minutes}"]
        code, _, err = run(tmp_path, *command, inside=small_disk.inside)
        assert code == 2
        assert f"{tmp_path}/disk" in err
        assert f"No space left on device\n  {FULL}" in err
        assert not list(folder.path.rglob("*.partial"))
        if leaving_kib:
            assert folder.status.state == "failed"
            assert FULL in (folder.status.reason or "")
    assert len(folder.read_metrics()) > 0
    small_disk.clear()
    code, out, err = run(tmp_path, "paths.runs=disk", inside=small_disk.inside)
    assert code == 0, out + err
    assert folder.status.state == "finished"
    assert folder.status.reason is None
    assert [row["env_steps"] for row in neighbour.read_metrics()] == [7]
    assert neighbour.status.state == "finished"


def test_a_full_disk_ends_a_grid_with_a_message(small_disk: SmallDisk, tmp_path: Path) -> None:
    small_disk.fill(leaving_kib=100)
    command = ["paths.runs=disk", "checkpoint_minutes=0", "seed=0,1"]
    code, out, err = run(tmp_path, *command, grid=True, inside=small_disk.inside)
    assert code in (1, 2)
    assert f"{tmp_path}/disk" in out + err
    assert "No space left on device" in out + err
    assert all(folder.status.state != "finished" for folder in planned(small_disk.path.parent, *command))


def test_neither_a_failing_nor_a_lost_run_hurts_the_others(tmp_path: Path) -> None:
    command = ["algo=vdn,qmix", "seed=0,1", "hydra.launcher.processes=1"]
    failing, first, second, lost = planned(tmp_path, *command)
    (failing.best_policy / "in the way").mkdir(parents=True)
    with start(tmp_path, *command, grid=True) as process:
        wait_until(lambda: process.poll() is not None or first.status.state == "running")
        shutil.rmtree(lost.path)
        lost.path.write_text("a file now")
        code, out, err = ended(process)
    assert code == 1, out + err
    assert [folder.status.state for folder in (failing, first, second)] == ["failed", "finished", "finished"]
    assert [len(folder.read_metrics()) for folder in (first, second)] == [3, 3]
    assert f"cannot write {failing.best_policy}: Is a directory" in (failing.status.reason or "")
    assert "Traceback" not in failing.console.read_text()
    table = " ".join(out[out.index("final return") :].split())  # its lines are as wide as a terminal
    assert "1, 1 failed" in table
    assert re.search(r"seed=0: cannot write \S+best\.pt: Is a directory", table)
    assert f"{lost.path}" in out + err
    assert "A file stands where a folder is needed" in out + err
    assert lost.path.read_text() == "a file now"
