"""Jobs of a queue that is a few processes of this machine: submit, leave, be warned, come back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from submitit import LocalExecutor
from submitit.core.utils import DelayedSubmission

from marlpipe.launch.cluster_job import AGAIN, ENOUGH
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from tests.support.repository import ROOT

HERE = Path(__file__).parent
PATIENCE_S = 60.0
Submit = Callable[..., str]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Submit]:
    """Submits a grid of the tests' application; what it prints."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(HERE)]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)

    def submit(*arguments: str) -> str:
        command = [sys.executable, str(HERE / "app.py"), "-m", f"hydra.searchpath=[file://{ROOT / 'conf'}]"]
        done = subprocess.run(
            [*command, "hydra/launcher=submitit_local", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    yield submit
    for job in {str((read_json(file) or {}).get("job")) for file in tmp_path.rglob("submission.json")}:
        for process in [int(job), *children(int(job))]:
            if str(tmp_path) in command_of(process):
                os.kill(process, signal.SIGKILL)


def run(do: str, seed: int = 0) -> RunFolder:
    return RunFolder(Path("multirun", "toy", f"{do}-abc", f"seed={seed}"))


def job(folder: RunFolder) -> int:
    """The process that controls the job of a run."""
    return int((read_json(folder.submission) or {})["job"])


def children(pid: int) -> list[int]:
    told = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in told.splitlines()]
    return [below for child, parent in pairs if parent == pid for below in (child, *children(child))]


def command_of(pid: int) -> str:
    return subprocess.run(["ps", "-wwo", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def worker(controller: int) -> int:
    """The process of a job that submitit sends its signals to."""
    (found,) = [process for process in children(controller) if "submitit.core._submit" in command_of(process)]
    return found


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def printed(folder: RunFolder) -> int:
    """How often a run was started."""
    return folder.console.read_text().count("printing") if folder.console.exists() else 0


def test_runs_of_one_job_and_the_command_again(submit: Submit) -> None:
    told = submit("do=raise,wait,work", "hydra.launcher.runs_per_job=3")
    assert "3 runs: 0 finished, 0 running or queued already, 3 to submit" in told
    assert "1 job of 3 runs (0 GPU, 3 cores, 6 GiB, at most 4 h each): " in told
    failing, waiting, working = run("raise"), run("wait"), run("work")
    controller = job(failing)
    assert [job(waiting), job(working)] == [controller, controller]
    wait_until(lambda: failing.status.state == "failed" and working.status.state == "finished")
    wait_until((waiting.path / "began").exists)
    assert failing.status.reason == "RuntimeError: seed 0 went wrong"
    traces = [(folder.path / "imported_by").read_text().split() for folder in (failing, waiting, working)]
    assert len({process for _, process in traces}) == 3
    assert len({importer for importer, _ in traces}) == 1
    assert (failing.path / "threads").read_text() == "1 1 1"
    assert "runs_per_job=3" in (waiting.path / "command").read_text()  # what the user typed

    # the job still does one of them: nothing is submitted twice, not even what has failed, before it is over
    told = submit("do=raise,wait,work", "hydra.launcher.runs_per_job=3")
    assert "3 runs: 1 finished, 2 running or queued already, 0 to submit" in told

    # preempted: what has failed by itself is not done again, what ran is
    os.kill(worker(controller), signal.SIGUSR2)
    wait_until(lambda: (waiting.status.state, waiting.status.reason) == ("queued", AGAIN))
    wait_until(lambda: printed(waiting) == 2)
    assert [printed(failing), printed(working)] == [1, 1]
    assert job(waiting) == controller

    # its process dies: its runs save themselves, nobody brings it back, and the same command submits what is left
    os.kill(worker(controller), signal.SIGKILL)
    wait_until((waiting.path / "saved").exists)
    wait_until(lambda: not command_of(controller))
    told = submit("do=raise,wait,work", "hydra.launcher.runs_per_job=3")
    assert "3 runs: 1 finished, 0 running or queued already, 2 to submit" in told
    assert job(failing) == job(waiting) != controller
    wait_until(lambda: printed(failing) == 2 and printed(waiting) == 3)
    assert printed(working) == 1


@pytest.mark.slow
def test_a_time_limit_and_the_last_requeue(submit: Submit, tmp_path: Path) -> None:
    submit("do=wait,kill", "hydra.launcher.runs_per_job=2")
    folder, killed = run("wait"), run("kill")
    wait_until((folder.path / "began").exists)
    controller = job(folder)
    wait_until(lambda: killed.status.state == "failed")
    assert "its process was killed by SIGKILL" in (killed.status.reason or "")
    os.kill(worker(controller), signal.SIGKILL)
    wait_until((folder.path / "saved").exists)
    [stored] = tmp_path.rglob(f"{controller}_submitted.pkl")
    executor = LocalExecutor(folder=tmp_path / "short" / "%j", max_num_timeout=1)
    executor.update_parameters(timeout_min=0.2, signal_delay_s=4, stderr_to_stdout=True)  # warned after 8 s
    limited = executor.submit(DelayedSubmission.load(stored).function)
    wait_until(lambda: folder.status.reason == AGAIN)
    assert folder.status.state == "queued"
    wait_until(lambda: folder.status.reason == ENOUGH)
    assert folder.status.state == "interrupted"
    assert (printed(folder), printed(killed)) == (3, 1)
    wait_until(limited.done)


def test_a_run_whose_folder_is_gone_does_not_keep_its_job(submit: Submit) -> None:
    submit("do=work")
    folder, controller = run("work"), job(run("work"))
    subprocess.run(["rm", "-r", str(folder.path)], check=True)
    wait_until(lambda: not command_of(controller))
    assert not folder.path.exists()
