"""Grids as a person starts, stops and starts them again: each run is done, none of them twice."""

import os
import signal
from pathlib import Path

import pytest

from marlpipe.commands.command_line import verbs as cli
from marlpipe.commands.drill.sessions import parent
from marlpipe.commands.drill.verdict import departures
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from tests.commands.terminal import SHORT, ended, run, start
from tests.support.waiting import wait_until


def planned(folder: Path, *arguments: str) -> list[RunFolder]:
    register_resolvers()
    return [RunFolder(folder / path) for path in planned_folders([*SHORT, *arguments], config_folder(), sweep=True)]


def sessions(folder: RunFolder) -> int:
    """How often a run was begun or went on."""
    return len((read_json(folder.run) or {}).get("sessions", []))


@pytest.mark.slow
def test_interrupted_twice_and_none_is_done_twice(tmp_path: Path) -> None:
    command = ["seed=range(0,4)", "hydra.launcher.processes=2"]
    folders = planned(tmp_path, *command)
    for finished in (1, 2):
        begun = sum(map(sessions, folders))
        with start(tmp_path, *command, grid=True) as process:
            wait_until(
                lambda finished=finished, process=process, begun=begun: (
                    process.poll() is not None
                    or (
                        sum(map(sessions, folders)) > begun
                        and [folder.status.state for folder in folders].count("finished") >= finished
                    )
                )
            )
            os.killpg(process.pid, signal.SIGINT)
            code, _, err = ended(process)
        assert code == 130, err
        assert {folder.status.state for folder in folders} == {"finished", "interrupted"}
    done = {folder.path for folder in folders if folder.status.state == "finished"}
    before = {folder.path: sessions(folder) for folder in folders}
    code, out, err = run(tmp_path, *command, grid=True)
    assert code == 0, out + err
    assert {folder.status.state for folder in folders} == {"finished"}
    assert f"4 runs, {len(done)} finished already" in out + err
    for folder in folders:
        assert sessions(folder) == before[folder.path] + (folder.path not in done)
        anew = [session["from_env_steps"] for session in (read_json(folder.run) or {})["sessions"]]
        assert anew == sorted(anew)
        assert len(folder.read_metrics()) == len(folders[0].read_metrics())


@pytest.mark.slow
def test_a_run_that_another_process_owns_is_left_alone(tmp_path: Path) -> None:
    owned, free = planned(tmp_path, "seed=0,1")
    owned.create().update_status(state="running", env_steps=7)
    before = owned.status_file.read_bytes()
    with FolderLock(owned.lock):
        code, out, err = run(tmp_path, "seed=0,1", grid=True)
    assert code == 1, out + err
    assert f"{owned.path} is being trained by process {os.getpid()}" in out + err
    assert "submitted" not in out
    assert owned.status_file.read_bytes() == before
    assert free.status.state == "finished"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hydra/launcher=local", "hydra.launcher.processes=0"], "hydra.launcher.processes=0 is not possible"),
        (["hydra/launcher=slurm", "hydra.launcher.max_array=0"], "hydra.launcher.max_array=0 is not possible"),
        (["hydra/launcher=slurm", "hydra.launcher.at_once=all"], "hydra.launcher.at_once=all is not possible"),
        (["hydra/launcher=submitit_local", "hydra.launcher.gpus=two"], "hydra.launcher.gpus=two is not possible"),
        (["hydra/launcher=submitit_local", "hydra.launcher.requeues=6"], "hydra.launcher.requeues=6 is not possible"),
        (["hydra/launcher=submitit_local", "hydra.launcher.grace_s=soon"], "hydra.launcher.grace_s=soon is not"),
        (
            ["hydra/launcher=submitit_local", "hydra.launcher.hours=0.5", "hydra.launcher.grace_s=1800"],
            "hydra.launcher.hours=0.5 is no longer than hydra.launcher.grace_s=1800",
        ),
        (
            ["hydra/launcher=submitit_local", "+hydra.launcher.algo.qmx.hours=3"],
            "hydra.launcher.algo: the option 'qmx' does not exist. Did you mean 'qmix'?",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")  # their types are what is wrong
def test_settings_that_a_launcher_cannot_have(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError) as refused:
        cli.run(["-m", *SHORT, *arguments])
    assert str(refused.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("launcher", ["submitit_local", "slurm"])
def test_a_dry_run_writes_nothing(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(SystemExit) as left:
        cli.run(["-m", *SHORT, "seed=0,1,2", f"hydra/launcher={launcher}", "hydra.launcher.dry_run=true"])
    assert left.value.code == 0
    assert "nothing was submitted: 3 runs in 3 jobs, at most" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_preempted_runs_come_to_what_they_would_have(tmp_path: Path) -> None:
    command = ["seed=0,1", "env_steps=2000", "evaluation.every_env_steps=200", "record_every_env_steps=100"]
    queue = ["hydra/launcher=submitit_local", "hydra.launcher.runs_per_job=2"]
    folders = planned(tmp_path, *command)
    code, out, err = run(tmp_path, *command, *queue, grid=True)
    assert code == 0, out + err
    assert out.splitlines()[-1].startswith("submitted. Their progress: python -m marlpipe status multirun")
    assert all(folder.status.state != "finished" for folder in folders)  # it did not wait
    wait_until(lambda: all(len(folder.read_metrics()) > 2 for folder in folders))
    [log] = {(read_json(folder.submission) or {})["log"] for folder in folders}
    run_process = folders[0].status.pid
    os.kill(parent(parent(run_process or 0)), signal.SIGUSR2)
    wait_until(lambda: all(folder.status.state == "finished" for folder in folders))
    assert "Requeued job" in Path(log).read_text()
    assert [sessions(folder) for folder in folders] == [2, 2]
    whole = [RunFolder(str(folder.path).replace("multirun", "whole")) for folder in folders]
    code, out, err = run(tmp_path, *command, "paths.runs=whole", grid=True)
    assert code == 0, out + err
    assert [departures(*pair) for pair in zip(whole, folders, strict=True)] == [[], []]
