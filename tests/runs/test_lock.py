"""One process at a time owns a run folder: here, on other machines, on disks with and without locks."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from marlpipe.errors import Interrupted, UserError
from marlpipe.runs import lock as module
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderInUse, FolderLock, owner
from marlpipe.training.callbacks.checkpointing import Resumable
from marlpipe.training.evaluation_schedule import EvaluationSchedule

SCHEDULE = EvaluationSchedule(every_env_steps=1)

HOLD = (
    "import sys, time; from pathlib import Path; from marlpipe.runs.lock import FolderLock, FolderInUse\n"
    "sys.stdin.readline()\n"
    "try:\n"
    "    with FolderLock(Path(sys.argv[1])):\n"
    "        print('won', flush=True); sys.stdin.readline()\n"
    "except FolderInUse as error:\n"
    "    print('lost', error, flush=True)\n"
)
Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.1)
    monkeypatch.setattr(module, "WATCH_S", 1.0)
    monkeypatch.setattr(module, "BETWEEN_S", 0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RunFolder(tmp_path / "run").create().lock


@pytest.fixture
def processes(path: Path) -> Iterator[Callable[[], Process]]:
    """Starts processes that take the lock once they read a line, and give it back after another."""
    started: list[Process] = []

    def start() -> Process:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, "-c", HOLD, str(path)], text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def forged(path: Path, beat: int = 0, host: str = "far") -> None:
    text = json.dumps({"host": host, "pid": 7, "token": "theirs", "beat": beat}).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:  # in one piece: whoever looks meanwhile finds the owner
        os.pwrite(descriptor, text, 0)
        os.truncate(descriptor, len(text))
    finally:
        os.close(descriptor)


@pytest.fixture
def far_owner(path: Path) -> Iterator[Callable[[], None]]:
    """Another machine that goes on counting, until called."""
    over = threading.Event()

    def count() -> None:
        beat = 0
        while not over.wait(0.2):
            forged(path, beat := beat + 1)

    forged(path)
    thread = threading.Thread(target=count)
    thread.start()

    def dies() -> None:
        over.set()
        thread.join()

    yield dies
    dies()


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_eight_processes_at_once_one_wins(path: Path, processes: Callable[[], Process]) -> None:
    racing = [processes() for _ in range(8)]
    for process in racing:
        go(process)
    answers = {process.pid: said(process) for process in racing}
    (winner,) = (pid for pid, answer in answers.items() if answer == "won\n")
    who = f"lost {path.parent} is being trained by process {winner} on {os.uname().nodename}\n"
    assert [answer for pid, answer in answers.items() if pid != winner] == [who] * 7
    assert (owner(path) or {})["pid"] == winner
    go(next(process for process in racing if process.pid == winner))
    wait_for(lambda: path.read_text() == "")
    assert owner(path) is None


def test_a_killed_owner_holds_nobody_up(path: Path, processes: Callable[[], Process]) -> None:
    first = processes()
    go(first)
    assert said(first) == "won\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert json.loads(path.read_text())["pid"] == first.pid
    assert owner(path) is None
    started = time.monotonic()
    with FolderLock(path):
        assert time.monotonic() - started < module.WATCH_S / 2
        assert (owner(path) or {})["pid"] == os.getpid()


def test_one_process_does_not_own_a_folder_twice(path: Path) -> None:
    with FolderLock(path):
        before = path.read_bytes()
        with (
            pytest.raises(FolderInUse, match=rf"by process {os.getpid()} on .*\n  Wait until it has ended"),
            FolderLock(path),
        ):
            pytest.fail("both own it")
        assert json.loads(path.read_bytes())["token"] == json.loads(before)["token"]
        assert owner(path) is not None
    with FolderLock(path):
        pass
    assert path.read_bytes() == b""


def test_whoever_looks_is_in_nobodys_way(path: Path) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            owner(path)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(20):
            with FolderLock(path):
                pass
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()


def test_a_look_at_a_released_lock_takes_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FolderLock(path):
        pass
    monkeypatch.setattr(module.fcntl, "flock", lambda *_: pytest.fail("the next owner would find it locked"))
    assert owner(path) is None


def test_an_owner_on_another_machine_that_lives(path: Path, far_owner: Callable[[], None]) -> None:
    assert (owner(path) or {})["host"] == "far"
    with pytest.raises(FolderInUse, match="by process 7 on far"), FolderLock(path):
        pytest.fail("both own it")
    far_owner()
    assert json.loads(path.read_text())["token"] == "theirs"


def test_an_owner_on_another_machine_that_died(path: Path) -> None:
    forged(path)
    assert (owner(path) or {})["host"] == "far"  # it may be alive
    started = time.monotonic()
    with FolderLock(path):
        assert time.monotonic() - started >= module.WATCH_S
        assert (owner(path) or {})["host"] == os.uname().nodename
    forged(path)
    long_ago = time.time() - 2 * module.WATCH_S
    os.utime(path, (long_ago, long_ago))
    assert owner(path) is None


def test_whoever_is_taken_over_while_frozen_stops_and_writes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, trainer = RunFolder(path.parent), Trainer(logger=False, plugins=[LightningEnvironment()])
    with FolderLock(path) as lock:
        resumable = Resumable(folder=folder, lock=lock, schedule=SCHEDULE, minutes=0.0, header={})
        forged(path, beat=10**9)
        wait_for(lambda: lock.lost)
        with pytest.raises(Interrupted, match="another process has taken the run over"):
            resumable.save_if_due(trainer, after_s=1e9)
    assert json.loads(path.read_text())["token"] == "theirs"
    assert list(folder.checkpoints.iterdir()) == []
    monkeypatch.setattr(module, "BEAT_S", 1e6)  # it wakes up, and its heart has not beaten yet
    path.write_text("")
    with FolderLock(path) as lock:
        resumable = Resumable(folder=folder, lock=lock, schedule=SCHEDULE, minutes=0.0, header={})
        forged(path)
        resumable.save_if_due(trainer, after_s=1e9)  # not due
        with pytest.raises(Interrupted, match="another process has taken the run over"):
            resumable.save_if_due(trainer, after_s=0.0)
    assert json.loads(path.read_text())["token"] == "theirs"
    assert list(folder.checkpoints.iterdir()) == []


def test_the_owner_counts_up_and_a_removed_file_is_no_loss(path: Path) -> None:
    with FolderLock(path) as lock:
        wait_for(lambda: json.loads(path.read_text())["beat"] >= 2)
        path.unlink()
        assert not lock.taken_over()
    assert not path.exists()


def test_a_disk_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, the count decides on one machine too."""
    without_locks(monkeypatch)
    with FolderLock(path) as lock:
        assert (owner(path) or {})["pid"] == os.getpid()
        with pytest.raises(FolderInUse), FolderLock(path):
            pytest.fail("both own it")
        assert not lock.lost
    assert owner(path) is None
    forged(path, host=os.uname().nodename)
    started = time.monotonic()
    with FolderLock(path):
        assert time.monotonic() - started >= module.WATCH_S


@pytest.mark.parametrize(
    "content", [b"garbage", b"\xff\0\xfe", b"[" * 5000, b"9" * 5000, b"[1]", b'{"pid": 1}', b"null"]
)
def test_garbage_in_the_file(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    os.utime(path, (0, 0))
    assert owner(path) is None
    with FolderLock(path), pytest.raises(FolderInUse), FolderLock(path):
        pytest.fail("both own it")
    path.write_bytes(content)
    file = os.open(path, os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    assert owner(path) is not None
    with pytest.raises(FolderInUse, match="by another process\n"), FolderLock(path):
        pytest.fail("both own it")
    os.close(file)


@pytest.mark.parametrize("what", ["folder", "fifo", "link", "no folder"])
def test_what_is_no_file(what: str, path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(mine),
        "no folder": lambda: path.parent.rename(tmp_path / "elsewhere"),
    }[what]()
    with pytest.raises(UserError, match=rf"cannot write {path}: .*\n  "), FolderLock(path):
        pytest.fail("it was taken")
    assert mine.read_text() == "precious"
    assert owner(path) is None


def test_a_released_lock_leaves_no_thread_and_no_open_file(path: Path) -> None:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with FolderLock(path), pytest.raises(FolderInUse), FolderLock(path):
        pass
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, files)
