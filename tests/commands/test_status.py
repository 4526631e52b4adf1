"""`python -m marlpipe status`: how runs stand, also those that cannot tell any more."""

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from marlpipe.commands.status.next_step import pasteable
from marlpipe.commands.status.show import view, watch
from marlpipe.errors import UserError
from marlpipe.runs.display import COLOURS, about
from marlpipe.runs.files import write_json
from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.grid import lives, living_grid
from marlpipe.runs.local_jobs import CONTROLLER, this_host
from marlpipe.runs.standing import (
    ABANDONED,
    AGAIN,
    GONE,
    KILLED,
    DerivedState,
    Submission,
    derive_state,
    standings,
    submission,
)
from marlpipe.runs.status import Status
from marlpipe.runs.terminal import FILE_WIDTH
from tests.support.command import verb

run = verb("status")

Capture = pytest.CaptureFixture[str]
COMMAND = "python -m marlpipe -m algo=qmix,vdn 'seed=range(100)'"
SLURM = Submission(job="34_0", cluster="slurm")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder as the whole PATH, for programs of the test."""
    programs = tmp_path_factory.mktemp("programs")
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "multirun"


def squeue(programs: Path, *lines: str) -> None:
    """A cluster that knows these jobs, and counts how often it was asked."""
    program = programs / "squeue"
    told = "\n".join(lines)
    program.write_text(f"#!{sys.executable}\nopen({str(programs / 'asked')!r}, 'a').write('x')\nprint({told!r})\n")
    program.chmod(0o755)


def made(root: Path, seed: int = 0, label: str = "qmix", job: str | None = None, **status: Any) -> RunFolder:
    """A run that has said who it is and how it stands; with a job, one that was submitted to Slurm."""
    folder = RunFolder(root / "cartpole" / f"{label}-1a2b" / f"seed={seed}").create()
    write_json(folder.run, {"label": label, "seed": seed, "choices": {"env": "cartpole"}, "command": COMMAND})
    folder.update_status(**status)
    if job:
        told = {"job": job, "cluster": "slurm", "submitted": "2026-01-01T00:00:00+00:00", "command": COMMAND}
        write_json(folder.submission, told | {"log": f"/logs/{job}.out"})
    return folder


def shown(capsys: Capture, *arguments: object) -> tuple[int, str]:
    status = run(arguments)
    return status, capsys.readouterr().out


def document(capsys: Capture, *arguments: object) -> Any:
    return json.loads(shown(capsys, *arguments, "--json")[1])


def row(out: str, seed: int) -> str:
    [line] = [line for line in out.splitlines() if re.match(rf"cartpole \S+ +{seed} ", line)]
    return line


@pytest.fixture
def trained(root: Path) -> Iterator[tuple[RunFolder, subprocess.Popen[str]]]:
    """A run, and the process that holds its lock."""
    folder = made(root, state="running", host="node7", env_steps=50, total_env_steps=200, eta_s=90.0)
    folder.update_status(job="34_0")
    code = (
        "import sys, time; from pathlib import Path; from marlpipe.runs.lock import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])):\n  print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder.lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield folder, process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("status", "submitted", "held", "jobs", "expected"),
    [
        (Status(state="running"), None, True, None, DerivedState(state="running")),
        (Status(state="running"), None, False, None, DerivedState(state="lost", reason=KILLED)),
        (Status(state="running"), SLURM, False, {}, DerivedState(state="lost", reason=KILLED)),
        (Status(state="running"), SLURM, False, {"34_0": "PENDING"}, DerivedState(state="queued", reason=AGAIN)),
        (Status(state="running", job="9"), None, False, {"9": "SUSPENDED"}, DerivedState(state="queued", reason=AGAIN)),
        (
            Status(state="running", job="9"),
            None,
            False,
            {"9": "RUNNING"},
            DerivedState(state="lost", reason=f"{KILLED}, though its job is RUNNING"),
        ),
        (Status(state="running"), SLURM, True, {}, DerivedState(state="running")),
        (Status(state="queued"), None, False, {}, DerivedState(state="queued")),
        (Status(state="queued"), SLURM, False, None, DerivedState(state="queued")),
        (Status(state="queued"), SLURM, False, {"34_0": "PENDING"}, DerivedState(state="queued")),
        (Status(state="queued"), SLURM, False, {"34_0": "RUNNING"}, DerivedState(state="queued")),
        (Status(state="queued", job="9"), SLURM, False, {"9": "RUNNING"}, DerivedState(state="lost", reason=GONE)),
        (Status(state="queued"), SLURM, False, {"34_1": "PENDING"}, DerivedState(state="lost", reason=GONE)),
        (Status(state="queued"), Submission(job="7", cluster="local"), False, {}, DerivedState(state="queued")),
        (Status(state="queued"), Submission(cluster="slurm"), False, {}, DerivedState(state="queued")),
        (Status(state="interrupted", reason="x"), SLURM, False, {}, DerivedState(state="interrupted", reason="x")),
        (Status(state="interrupted"), SLURM, False, {"34_0": "PENDING"}, DerivedState(state="queued", reason=AGAIN)),
        (Status(state="failed", reason="x"), SLURM, False, {}, DerivedState(state="failed", reason="x")),
        (Status(state="finished"), SLURM, False, {}, DerivedState(state="finished")),
    ],
)
def test_what_a_status_comes_to(
    status: Status, submitted: Submission | None, held: bool, jobs: dict[str, str] | None, expected: DerivedState
) -> None:
    assert derive_state(status, submitted, held=held, grid_lives=None, jobs=jobs) == expected


@pytest.mark.parametrize(
    ("status", "grid_lives", "expected"),
    [
        (Status(state="queued"), True, DerivedState(state="queued")),
        (Status(state="queued"), False, DerivedState(state="lost", reason=ABANDONED)),
        (Status(state="running"), True, DerivedState(state="running")),  # its process was just started
        (Status(state="running"), False, DerivedState(state="lost", reason=KILLED)),
        (Status(state="running", pid=7), True, DerivedState(state="lost", reason=KILLED)),
    ],
)
def test_runs_of_a_grid(status: Status, grid_lives: bool, expected: DerivedState) -> None:
    assert derive_state(status, None, held=False, grid_lives=grid_lives, jobs=None) == expected


def test_a_run_waits_for_its_grid_as_long_as_that_lives(root: Path, capsys: Capture) -> None:
    with living_grid(root) as grid:
        folder = made(root, state="queued", grid=grid)
        assert document(capsys, root)["commands"] == []
    assert lives(grid) is None  # a grid that ended by itself leaves nothing
    Path(grid).write_text('{"host": "far", "pid": 1, "token": "a", "beat": 9}')
    os.utime(grid, (1, 1))
    assert document(capsys, root)["commands"] == [COMMAND]
    for stranger in ("/etc/passwd", f"{root}/.grids/../../x", str(folder.lock)):
        folder.update_status(grid=stranger)
        assert lives(stranger) is None
        assert document(capsys, root)["runs"][0]["state"] == "queued"


def test_a_run_waits_for_a_job_of_this_machine_as_long_as_that_lives(
    root: Path, no_cluster: Path, capsys: Capture
) -> None:
    found = shutil.which("ps", path=os.defpath)
    assert found is not None
    (no_cluster / "ps").symlink_to(found)
    folder = made(root, state="queued")
    waits = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)", CONTROLLER]
    with subprocess.Popen(waits, stdout=subprocess.PIPE) as controller:
        assert controller.stdout is not None
        controller.stdout.readline()
        submission = {"job": str(controller.pid), "cluster": "local", "host": this_host(), "command": COMMAND}
        write_json(folder.submission, submission)
        assert document(capsys, root)["runs"][0]["state"] == "queued"
        controller.kill()
    assert shown(capsys, root)[0] == 1
    assert (standings([folder])[0].state, standings([folder])[0].reason) == ("lost", ABANDONED)
    assert document(capsys, root)["commands"] == [COMMAND]
    write_json(folder.submission, submission | {"host": "far"})
    assert document(capsys, root)["runs"][0]["state"] == "queued"


def test_what_failed_would_fail_again(root: Path, capsys: Capture) -> None:
    made(root, 0, state="failed", reason="UserError: no such thing")
    made(root, 1, state="interrupted")
    then = f"the same command then completes the 2 missing runs\n  {COMMAND}\n"
    assert f"next: mend the error above; {then}" in shown(capsys, root)[1]
    assert f"next: mend what --state failed shows; {then}" in shown(capsys, root, "--state=interrupted")[1]


def test_a_run_whose_process_is_killed_is_lost(
    trained: tuple[RunFolder, subprocess.Popen[str]], root: Path, capsys: Capture
) -> None:
    folder, process = trained
    status, out = shown(capsys, root)
    assert status == 3
    for part in ("running", "50/200", "25 %", "90 s", "node7", "34_0"):
        assert part in row(out, 0)
    assert "next:" not in out

    process.send_signal(signal.SIGKILL)
    process.wait()
    status, out = shown(capsys, root)
    assert status == 1
    assert re.search(r" lost +50/200 +25 % +node7 34_0 +\d s$", row(out, 0))
    assert f"cartpole qmix seed=0: lost: {KILLED}" in out
    assert f"next: the same command completes the missing run, from the last checkpoint on\n  {COMMAND}\n" in out
    assert folder.status.state == "running"  # looking changes nothing


def test_a_lost_run_was_last_seen_when_its_owner_last_counted(root: Path, capsys: Capture) -> None:
    folder = made(root, state="running")
    folder.lock.write_text(json.dumps({"host": "far", "pid": 1, "token": "a", "beat": 9}))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    write_json(folder.status_file, {"state": "running", "updated": (hour_ago - timedelta(hours=1)).isoformat()})
    os.utime(folder.lock, (hour_ago.timestamp(), hour_ago.timestamp()))
    [told] = document(capsys, root)["runs"]
    assert (told["state"], told["seen"]) == ("lost", hour_ago.isoformat(timespec="seconds"))


def test_slurm_tells_of_queued_runs(root: Path, no_cluster: Path, capsys: Capture) -> None:
    for seed in range(3):
        made(root, seed, job=f"34_{seed}", state="queued")
    assert shown(capsys, root)[0] == 3
    squeue(no_cluster, "34_0 PENDING", "34_1 RUNNING", "99 PENDING")
    status, out = shown(capsys, root)
    assert status == 3
    assert [("queued" in row(out, seed), f"34_{seed}" in row(out, seed)) for seed in (0, 1)] == [(True, True)] * 2
    assert f"cartpole qmix seed=2: lost: {GONE}\n  /logs/34_2.out\n" in out
    assert "3 runs: 2 queued, 1 lost" in out
    assert (no_cluster / "asked").read_text() == "x"  # once for all


def test_slurm_is_left_alone_where_it_cannot_know_more(root: Path, no_cluster: Path, capsys: Capture) -> None:
    squeue(no_cluster)
    made(root, 0, job="34_0", state="finished")
    made(root, 1, state="queued")
    shown(capsys, root)
    assert not (no_cluster / "asked").exists()


def test_a_run_that_ends_while_slurm_is_asked_is_not_lost(root: Path, no_cluster: Path, capsys: Capture) -> None:
    folder = made(root, job="34_0", state="queued")
    program = no_cluster / "squeue"
    ended = json.dumps({"state": "finished"})
    program.write_text(f"#!{sys.executable}\nopen({str(folder.status_file)!r}, 'w').write({ended!r})\n")
    program.chmod(0o755)
    assert shown(capsys, root)[0] == 0


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["finished", "finished"], 0),
        (["finished", "failed"], 1),
        (["finished", "interrupted"], 1),
        (["finished", "running"], 1),  # nobody holds the lock
        (["failed", "queued"], 3),
    ],
)
def test_the_exit_status(states: list[str], expected: int, root: Path, capsys: Capture) -> None:
    for seed, state in enumerate(states):
        made(root, seed, state=state)
    assert shown(capsys, root, "--state", "finished")[0] == expected
    assert re.search(rf"^ +{expected}   ", shown(capsys, "--help")[1], re.MULTILINE)


def test_reasons_are_told_once_and_below(root: Path, capsys: Capture) -> None:
    for seed in range(3):
        folder = made(root, seed, state="failed", reason="RuntimeError: out of memory\nsecond line")
    folder.console.write_text("…")
    made(root, 3, state="interrupted", reason="asked to stop")
    out = shown(capsys, root)[1]
    first = made(root, 0, state="failed", reason="RuntimeError: out of memory").path
    assert f"3 runs: failed: RuntimeError: out of memory\n  {first}, and 2 like it\n" in out
    assert "cartpole qmix seed=3: interrupted: asked to stop\n" in out
    assert "second line" not in out
    assert "completes the 4 missing runs" in out
    out = shown(capsys, folder.path)[1]
    assert f"seed=2: failed: RuntimeError: out of memory\n  {folder.console}\n" in out


def test_filters(root: Path, capsys: Capture) -> None:
    for seed, state in enumerate(("finished", "failed", "interrupted", "running")):
        made(root, seed, state=state)
    for arguments in (["--state", "failed,lost"], ["--state=lost,failed"]):
        out = shown(capsys, root, *arguments)[1]
        assert "failed" in row(out, 1)
        assert "lost" in row(out, 3)
        assert "cartpole qmix    0" not in out
        assert "4 runs: 1 finished, 1 failed, 1 interrupted, 1 lost" in out
    assert [entry["seed"] for entry in document(capsys, root, "--state=finished")["runs"]] == [0]
    assert shown(capsys, root, "--state=refused")[1].startswith("4 runs: ")


def test_json(root: Path, capsys: Capture) -> None:
    folder = made(root, 4, job="34_0", state="queued", total_env_steps=1000, eval_return=2.5, reason="a\x1b[31mb")
    told = document(capsys, root)
    assert told["counts"]["queued"] == 1
    assert told["commands"] == []
    [entry] = told["runs"]
    assert entry == entry | {
        "folder": str(folder.path),
        "env": "cartpole",
        "label": "qmix",
        "seed": 4,
        "state": "queued",
        "total_env_steps": 1000,
        "eval_return": 2.5,
        "job": "34_0",
        "reason": "a[31mb",
    }
    folder.update_status(state="failed")
    assert document(capsys, root)["commands"] == [COMMAND]


@pytest.mark.parametrize(("width", "kept"), [(80, False), (FILE_WIDTH, True), (200, True)])
def test_it_fits(width: int, kept: bool, root: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2):
        made(
            root,
            seed,
            "lomaq partition=pairs",
            state="finished",
            env_steps=2_000_000,
            total_env_steps=2_000_000,
            eval_return=-1234.5,
            env_steps_per_s=12_345.0,
            host="gpu-node17",
            job="1234567_199",
        )
    monkeypatch.setattr(sys.stdout, "isatty", lambda: width != FILE_WIDTH)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = re.sub(r"\x1b\[\d*(;\d+)*m", "", shown(capsys, root)[1]).splitlines()
    assert max(map(len, lines)) <= width
    assert "".join(lines).count("partition=pairs") == 2
    found = [line for line in lines if line.startswith("cartpole lomaq")]
    assert len(found) == 2
    assert "finished" in found[0]
    assert "100 %" in found[0]
    assert ("2,000,000/2,000,000" in found[0], "1234567_199" in found[0]) == (kept, kept)
    assert any("shows more: env steps" in line for line in lines) is not kept


def test_two_hundred_runs_take_less_than_a_second(root: Path) -> None:
    for seed in range(200):
        made(root, seed, state=("finished", "failed", "running", "queued")[seed % 4], reason="x" * (seed % 4 == 1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-X", "importtime", "-m", "marlpipe", "status", str(root)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4  # of the CPU: others may be busy
    assert asked.returncode == 3
    assert "200 runs: 50 queued, 50 finished, 50 failed, 50 lost" in asked.stdout
    imported = set(re.findall(r"\| +(\w+)", asked.stderr))
    assert "rich" in imported
    assert not imported & {"torch", "hydra", "omegaconf", "wandb", "lightning", "numpy", "matplotlib"}


BROKEN: list[tuple[str, str]] = [
    ("status.json", "{"),
    ("status.json", "[]"),
    ("status.json", '{"state": "flying"}'),
    ("status.json", '{"state": ["queued"]}'),
    ("status.json", '{"state": "running", "env_steps": "many"}'),
    ("status.json", '{"state": "running", "eta_s": NaN}'),
    ("status.json", "[" * 100_000),
    ("run.json", "nonsense"),
    ("run.json", '{"seed": "one"}'),
    ("run.json", '{"choices": 3}'),
    ("submission.json", "{"),
]


@pytest.mark.parametrize(("name", "content"), BROKEN)
def test_a_broken_run_is_refused_and_the_others_are_shown(name: str, content: str, root: Path, capsys: Capture) -> None:
    made(root, 0, state="finished")
    broken = made(root, 1, state="finished")
    (broken.path / name).write_text(content)
    status, out = shown(capsys, root)
    assert status == 1
    assert "finished" in row(out, 0)
    assert "2 runs: 1 finished, 1 refused" in out
    assert "cartpole/qmix-1a2b/seed=1: refused: " in out
    assert str(broken.path / name) in out


@pytest.mark.parametrize(
    "content",
    ["[]", '{"job": 3, "cluster": [], "submitted": {}, "command": 1, "log": false}', '{"submitted": "yesterday"}', ""],
)
def test_an_odd_submission_is_as_if_it_told_nothing(
    content: str, root: Path, no_cluster: Path, capsys: Capture
) -> None:
    folder = made(root, state="queued")
    folder.submission.write_text(content)
    squeue(no_cluster)
    assert shown(capsys, root)[0] == 3
    found = submission(folder)
    assert found is None or (found.job, found.cluster, found.command, found.log) == (None,) * 4


@pytest.mark.parametrize("updated", ["soon", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59", "2026-01-01"])
def test_odd_times(updated: str, root: Path, capsys: Capture) -> None:
    folder = made(root)
    write_json(folder.status_file, {"state": "finished", "updated": updated})
    status, out = shown(capsys, root)
    assert status == 0
    assert " -" not in row(out, 0)
    assert document(capsys, root)["runs"][0]["state"] == "finished"


@pytest.mark.parametrize("content", ["[" * 4000, "9" * 4000, "\0", '{"host": {}, "pid": []}', None])
def test_an_odd_lock(content: str | None, root: Path, capsys: Capture) -> None:
    folder = made(root, state="running")
    if content is None:
        folder.lock.mkdir()
    else:
        folder.lock.write_text(content)
    os.utime(folder.lock, (2**40, 2**40))  # a year of five digits, where the file system can hold it
    assert shown(capsys, root)[0] in (1, 3)


def test_a_link_that_leads_out_is_refused(root: Path, tmp_path: Path, capsys: Capture) -> None:
    made(root, 0, state="finished")
    folder = made(root, 1, state="finished")
    (tmp_path / "secret.json").write_text('{"state": "failed", "reason": "SECRET"}')
    folder.status_file.unlink()
    folder.status_file.symlink_to(tmp_path / "secret.json")
    status, out = shown(capsys, root)
    assert status == 1
    assert "SECRET" not in out
    assert re.search(r"seed=1: refused: .*status.json is a link that leads out", out)


def test_a_stranger_moves_no_cursor(root: Path, capsys: Capture) -> None:
    odd = "a\x1b[2Jb\u202ec\rd"
    folder = made(root, label="qmix\x1b]0;x", state="failed", reason=f"{odd}{'y' * 9999}", host="no\nplace", job=odd)
    write_json(folder.submission, dict.fromkeys(("job", "cluster", "submitted", "command", "log"), odd))
    write_json(
        folder.run, {"label": odd * 500, "seed": 0, "choices": {"env": odd}, "command": f"python -m marlpipe {odd}"}
    )
    out = shown(capsys, root)[1]
    assert " noplace " in out
    assert 1 < out.count("[2Jb") < 40
    assert out.count("y") < 600
    assert not re.search(r"[\x1b\u202e\r]", out)
    assert not re.search(r"[\x1b\u202e]", json.dumps(document(capsys, root), ensure_ascii=False))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (COMMAND, COMMAND),
        ("/x/.venv/bin/python -m marlpipe algo=qmix", "python -m marlpipe algo=qmix"),
        ("/x/bin/python /x/bin/marlpipe -m algo=a,b", "python -m marlpipe -m algo=a,b"),
        ("python -m marlpipe bandit horizon=10", "python -m marlpipe bandit horizon=10"),
        ("python -m marlpipe a=1; rm -rf ~", "python -m marlpipe 'a=1;' rm -rf '~'"),
        ("python -m marlpipe $(reboot)", "python -m marlpipe '$(reboot)'"),
        ("evil -m marlpipe a=1", "python -m marlpipe a=1"),
        ("python -c evil", None),
        ("python -m marlpipe; evil", None),
        ("rm marlpipe", "python -m marlpipe"),
        ("rm -rf marlpipe", None),
        ("python -m marlpipe 'a", None),
        ("marlpipe", "python -m marlpipe"),
        ("", None),
    ],
)
def test_the_next_step_is_a_command_of_ours(typed: str, told: str | None) -> None:
    assert pasteable(typed) == told


def test_queued_runs_that_nobody_will_start_are_missing(root: Path, capsys: Capture) -> None:
    made(root, 0, state="queued")
    assert document(capsys, root)["commands"] == [COMMAND]
    made(root, 0, job="3", state="queued")
    assert document(capsys, root)["commands"] == []


def test_the_time_left_is_that_of_runs_that_go_on(
    trained: tuple[RunFolder, subprocess.Popen[str]], root: Path, capsys: Capture
) -> None:
    trained[0].update_status(env_steps_per_s=10.0)
    made(root, 1, state="queued", total_env_steps=50)
    made(root, 2, state="running", total_env_steps=9000)  # nobody holds its lock
    out = shown(capsys, root)[1]
    assert "3 runs: 1 queued, 1 running, 1 lost; 10 env steps/s, about 20 s left" in out


@pytest.mark.usefixtures("trained")
def test_queued_runs_of_a_living_grid_are_not(root: Path, capsys: Capture) -> None:
    made(root, 1, state="queued")
    assert document(capsys, root)["commands"] == []


def test_the_same_command_is_told_once(root: Path, capsys: Capture) -> None:
    made(root, 0, state="failed")
    folder = made(root, 1, state="failed")
    write_json(folder.run, {"command": f"/x/{COMMAND}"})
    assert document(capsys, root)["commands"] == [COMMAND]


def test_a_run_that_was_only_submitted(root: Path, no_cluster: Path, capsys: Capture) -> None:
    folder = RunFolder(root / "cartpole" / "qmix-1a2b" / "seed=3").create()
    write_json(folder.submission, {"job": "34_0", "cluster": "slurm", "command": COMMAND})
    out = shown(capsys, root)[1]
    assert re.search(r"queued +34_0$", row(out, 3))
    squeue(no_cluster)
    assert document(capsys, root)["commands"] == [COMMAND]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no folder was given"),
        (["--wach"], r"(?s)'--wach' does not exist. Did you mean '--watch'.*valid: --help, --json, --state, --watch"),
        (["--json=1"], "does not take a value"),
        (["x", "--state", "faild"], "Did you mean 'failed'"),
        (["x", "--state"], "requires an argument"),
        ([".", "--json", "--watch"], "exclude each other"),
        (["nowhere"], "there is no folder nowhere"),
        ([os.devnull], "there is no folder"),
        (["."], "no run found in"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(arguments)


def test_folders_are_found_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    folder = made(root, state="finished")
    (folder.checkpoints / "status.json").write_text("{}")
    nested = made(folder.path / "more", state="finished")
    found = find_folders([root, folder.path, Path("multirun")])
    assert [one.path.resolve() for one in found] == [folder.path.resolve(), nested.path.resolve()]


def test_a_short_terminal_keeps_what_matters(root: Path) -> None:
    for seed in range(30):
        folder = made(root, seed, state="failed" if seed == 20 else "finished", reason="too odd " * 30)
        record = {"label": "qmix", "seed": seed, "choices": {"env": "cartpole"}}
        write_json(folder.run, record | {"command": f"{COMMAND} {'x' * 200}"})
    console = Console(width=80, file=StringIO(), color_system=None)
    for part in view(standings(find_folders([root])), frozenset({"failed", "finished"}), 80, 16):
        console.print(part)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) < 16
    assert "failed" in row("\n".join(lines), 20)
    assert any(re.fullmatch(r"and \d\d runs more", line.strip()) for line in lines)


def seen_on_a_terminal(root: Path, *, until: str, then: Any) -> tuple[str, int]:
    """What --watch prints on a real terminal; `then` is called with its process id once it has printed something."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "marlpipe", "status", str(root), "--watch"])
    out = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            part = os.read(terminal, 10_000)
        except OSError:  # the other end is closed
            break
        out += part
        if until.encode() in out and then:
            then(pid)
            then = None
    os.close(terminal)
    return out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_watching_ends_at_once_when_all_have_ended(root: Path) -> None:
    made(root, state="finished")
    out, status = seen_on_a_terminal(root, until="", then=None)
    assert status == 0
    assert out.count("1 run: 1 finished") == 1


def test_watching_goes_on_until_ctrl_c(root: Path) -> None:
    made(root, state="queued")
    out, status = seen_on_a_terminal(root, until="1 queued", then=lambda pid: os.kill(pid, signal.SIGINT))
    assert status == 130
    assert "The runs themselves go on." in out
    assert "Traceback" not in out


def test_what_was_watched_gives_way_to_the_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(root, state="queued")
    monkeypatch.setattr(time, "sleep", lambda _: folder.update_status(state="finished"))
    console = Console(file=StringIO(), force_terminal=True, width=80, height=20)
    [last] = watch([root], frozenset(COLOURS), console)
    assert last.state == "finished"
    before, _, after = console.file.getvalue().rpartition("\x1b[2K")  # type: ignore[attr-defined]
    assert "1 queued" in before
    assert "queued" not in after


def test_watching_without_a_terminal(root: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(root, state="queued")
    looks = iter((None, lambda: folder.update_status(state="finished")))
    monkeypatch.setattr(time, "sleep", lambda _: (next(looks) or str)())
    status, out = shown(capsys, root, "--watch")
    assert status == 0
    assert [line for line in out.splitlines() if line.startswith("1 run:")] == ["1 run: 1 queued", "1 run: 1 finished"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (5940, "99 min"), (5990, "2 h"), (172_000, "2 d"), (None, "–")],
)
def test_about(seconds: float | None, told: str) -> None:
    assert about(seconds) == told
