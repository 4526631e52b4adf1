"""Local grids: every run in its own process, none able to hurt another, all of them stoppable."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.launch.local import LocalLauncher, share_cores
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.standing import ABANDONED, standings
from tests.support.repository import ROOT
from tests.support.waiting import PATIENCE_S, wait_until

HERE = Path(__file__).parent
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the application in a process group of its own, as a shell does."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(HERE / "app.py"), "-m", f"hydra.searchpath=[file://{ROOT / 'conf'}]", *arguments]
        application = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(application)
        return application

    yield start
    for application in started:
        if application.poll() is None:
            os.killpg(application.pid, signal.SIGKILL)
        application.communicate()


def run(tmp_path: Path, do: str, seed: int = 0) -> RunFolder:
    return RunFolder(tmp_path / "multirun" / "toy" / f"{do}-abc" / f"seed={seed}")


def wait_for(file: Path) -> None:
    wait_until(file.exists, what=str(file))


def test_runs_that_raise_or_die_leave_the_others_alone(start: Start, tmp_path: Path) -> None:
    application = start("do=raise,kill,exit,mend,work", "seed=3")
    printed, _ = application.communicate(timeout=PATIENCE_S)
    assert application.returncode == 0, printed
    states = {do: run(tmp_path, do, 3).status for do in ("raise", "kill", "exit", "mend", "work")}
    assert {do: status.state for do, status in states.items()} == {
        "raise": "failed",
        "kill": "failed",
        "exit": "failed",
        "mend": "failed",
        "work": "finished",
    }
    assert states["raise"].reason == "RuntimeError: seed 3 went wrong"
    assert states["kill"].reason == "its process was killed by SIGKILL: by someone, or for lack of memory"
    assert "exit code 7" in (states["exit"].reason or "")
    assert states["mend"].reason == "no such thing\n  valid: another"
    assert states["work"].reason is None
    assert "toy raise seed=3: failed: RuntimeError: seed 3 went wrong" in printed
    assert "5 runs: 1 finished, 4 failed" in printed


def test_each_run_prints_into_its_own_console_log(start: Start, tmp_path: Path) -> None:
    printed, _ = start("do=work,raise,mend").communicate(timeout=PATIENCE_S)
    for do in ("work", "raise", "mend"):
        told = run(tmp_path, do).console.read_text()
        assert f"printing do={do} seed=0" in told
        assert "from a child process" in told
        assert told.count("printing") == 1
    assert "printing" not in printed
    assert "Traceback" in run(tmp_path, "raise").console.read_text()
    assert "Traceback" not in run(tmp_path, "mend").console.read_text()  # a person can mend it: no stack needed


def test_as_many_at_once_as_asked_and_threads_for_each(start: Start, tmp_path: Path) -> None:
    start("do=work", "seed=0,1,2,3,4", "hydra.launcher.processes=2", "hydra.launcher.threads=3").communicate(
        timeout=PATIENCE_S
    )
    runs = [run(tmp_path, "work", seed).path for seed in range(5)]
    spans = [(float((path / "began").read_text()), float((path / "ended").read_text())) for path in runs]
    at_once = [sum(other[0] <= span[0] < other[1] for other in spans) for span in spans]
    assert max(at_once) == 2
    assert {(path / "threads").read_text() for path in runs} == {"3 3 3"}


def test_what_does_not_fit_into_the_memory_waits(start: Start, tmp_path: Path) -> None:
    printed, _ = start("seed=0,1,2", "hydra.launcher.processes=2", "hydra.launcher.memory_gib=1e6").communicate(
        timeout=PATIENCE_S
    )
    runs = [run(tmp_path, "work", seed).path for seed in range(3)]
    spans = [(float((path / "began").read_text()), float((path / "ended").read_text())) for path in runs]
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    if Path("/proc/meminfo").exists():
        assert re.search(
            r"3 runs, 0 finished already, 2 at a time, .* GiB of memory are free, and a run may need 1000000\.0 GiB",
            printed,
        )
        assert "1 runs at a time for now: " in printed


def test_the_task_is_imported_once_and_the_command_handed_down(start: Start, tmp_path: Path) -> None:
    start("seed=0,1").communicate(timeout=PATIENCE_S)
    traces = [(run(tmp_path, "work", seed).path / "imported_by").read_text().split() for seed in (0, 1)]
    importers, processes = zip(*traces, strict=True)
    assert len(set(importers)) == 1
    assert len({*importers, *processes}) == 3  # imported by neither run
    assert "app.py" in (run(tmp_path, "work").path / "command").read_text()


def test_two_jobs_with_one_folder_are_one_run(start: Start, tmp_path: Path) -> None:
    printed, _ = start("+ignored=1,2").communicate(timeout=PATIENCE_S)
    assert "1 runs, 0 finished already, 1 at a time" in printed
    assert run(tmp_path, "work").console.read_text().count("printing") == 1


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_runs_save_and_tells_which_did_not_start(
    number: signal.Signals, exit_code: int, start: Start, tmp_path: Path
) -> None:
    application = start("do=wait", "seed=0,1,2", "hydra.launcher.processes=2")
    for seed in (0, 1):
        wait_for(run(tmp_path, "wait", seed).path / "waits")
    if number == signal.SIGINT:
        os.killpg(application.pid, number)  # a terminal sends it to all processes
    else:
        application.send_signal(number)
    printed, _ = application.communicate(timeout=PATIENCE_S)
    assert application.returncode == exit_code, printed
    assert "Traceback" not in printed
    for seed in (0, 1):
        assert (run(tmp_path, "wait", seed).path / "saved").exists()
        assert run(tmp_path, "wait", seed).status.reason == "stopped"
    assert run(tmp_path, "wait", 2).status.reason == "stopped before it started"
    assert {run(tmp_path, "wait", seed).status.state for seed in range(3)} == {"interrupted"}


def test_a_run_that_does_not_listen_is_ended(start: Start, tmp_path: Path) -> None:
    application = start("do=stubborn", "seed=0", "hydra.launcher.grace_s=0.5")
    wait_for(run(tmp_path, "stubborn").path / "deaf")
    began = time.monotonic()
    os.killpg(application.pid, signal.SIGINT)
    application.communicate(timeout=PATIENCE_S)
    assert application.returncode == 130
    assert time.monotonic() - began < 50  # it would sleep for 60 s
    assert run(tmp_path, "stubborn").status.state == "interrupted"


def test_runs_stop_when_the_launcher_is_killed(start: Start, tmp_path: Path) -> None:
    application = start("do=wait", "seed=0,1", "hydra.launcher.processes=1")
    began, waits = run(tmp_path, "wait", 0), run(tmp_path, "wait", 1)
    wait_for(began.path / "waits")
    assert standings([waits])[0].state == "queued"
    application.kill()
    application.wait()
    wait_for(began.path / "saved")
    assert waits.status.state == "queued"  # nobody is left to write it
    assert (standings([waits])[0].state, standings([waits])[0].reason) == ("lost", ABANDONED)


def test_a_finished_run_stays_finished_and_others_are_queued_again(start: Start, tmp_path: Path) -> None:
    run(tmp_path, "raise").create().update_status(state="interrupted", env_steps=7, reason="stopped")
    run(tmp_path, "wait").create().update_status(state="finished", env_steps=9)
    application = start("do=wait,stubborn,raise", "hydra.launcher.processes=1", "hydra.launcher.grace_s=0.5")
    wait_for(run(tmp_path, "stubborn").path / "deaf")
    assert (run(tmp_path, "raise").status.state, run(tmp_path, "raise").status.reason) == ("queued", None)
    assert run(tmp_path, "raise").status.env_steps == 7
    os.killpg(application.pid, signal.SIGINT)
    application.communicate(timeout=PATIENCE_S)
    assert run(tmp_path, "wait").status.state == "finished"
    assert not run(tmp_path, "wait").console.exists()  # nothing was started for it
    assert run(tmp_path, "raise").status.state == "interrupted"


@pytest.mark.parametrize(
    ("runs", "cores", "processes", "threads", "expected"),
    [
        (12, 8, None, None, (8, 1)),
        (3, 8, None, None, (3, 2)),
        (1, 8, None, None, (1, 8)),
        (12, 8, 2, None, (2, 4)),
        (12, 8, None, 4, (2, 4)),
        (12, 2, None, 4, (1, 4)),
        (12, 2, 4, None, (4, 1)),
        (12, 2, 4, 3, (4, 3)),
    ],
)
def test_cores_are_shared_out(
    runs: int, cores: int, processes: int | None, threads: int | None, expected: tuple[int, int]
) -> None:
    assert share_cores(runs=runs, cores=cores, processes=processes, threads=threads) == expected


def test_zero_processes_are_refused() -> None:
    with pytest.raises(UserError, match=r"(?s)hydra\.launcher\.processes=0.*valid: a whole number from 1 to 10000"):
        LocalLauncher(processes=0)


def test_negative_memory_is_refused() -> None:
    with pytest.raises(UserError, match=r"(?s)hydra\.launcher\.memory_gib=-1.*valid: a .*number of at least 0"):
        LocalLauncher(memory_gib=-1)


def test_a_task_in_the_main_script_is_explained(tmp_path: Path) -> None:
    script = (
        "import hydra\nfrom omegaconf import DictConfig\n"
        "def task(config: DictConfig) -> None: ...\n"
        f"hydra.main(config_path={str(HERE / 'conf')!r}, config_name='app', version_base='1.3')(task)()\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py", "-m", f"hydra.searchpath=[file://{ROOT / 'conf'}]"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Move the task function into a module of its own" in done.stderr
