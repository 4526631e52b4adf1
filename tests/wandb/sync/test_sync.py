"""Runs that were trained without network, sent by the real `wandb sync` to a server of the tests' own."""

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
import wandb
from PIL import Image
from wandb.proto.wandb_internal_pb2 import FilesItem

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.lock import FolderLock
from marlpipe.wandb import run as wandb_run
from marlpipe.wandb.log import BLOCK, LogReader, row, write_log
from marlpipe.wandb.private_api import Record
from marlpipe.wandb.run import open_run
from marlpipe.wandb.sink import WandbSink
from marlpipe.wandb.sync import sending, upload
from marlpipe.wandb.sync.merged_history import merge_sessions
from marlpipe.wandb.sync.sessions import find_sessions
from tests.support.command import verb
from tests.support.waiting import wait_until
from tests.wandb.wandb_server import WandbServer, no_wandb, wandb_at

sync = verb("sync")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    monkeypatch.setattr(sending, "SETTLE_S", 0.0)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with WandbServer() as server, wandb_at(server, monkeypatch, tmp_path):
        yield server
        assert server.errors == []
    assert list(here.iterdir()) == []


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return made(tmp_path / "grid" / "cartpole" / "qmix-1a2b" / "seed=0")


def made(path: Path) -> RunFolder:
    folder = RunFolder(path).create()
    folder.update_status(state="running")
    return folder


def value(step: int) -> float:
    return math.nan if step == 3 else step / 4


def trains(
    folder: RunFolder, end: int, *, exit_code: int = 0, cut: int = 0, artifact: bool = False, **choices: Any
) -> Path:
    """A session that tells W&B the rows that there are, and goes on up to a row.

    Args:
        cut: so many bytes of its log were not written yet when it was killed.
        choices: as for `open_run`, offline unless they say otherwise.

    Returns:
        What it left for W&B.
    """
    for step in range(len(folder.read_metrics()), end):
        folder.append_metrics({"env_steps": 10 * step, "train/loss": value(step)})
    number = len(list(folder.wandb.glob("offline-run-*")))
    run = open_run(
        folder=folder,
        project="study",
        group="arm",
        name="qmix seed 0",
        config={"lr": 0.1},
        comparison={"algo": "qmix"},
        tags=["debug"],
        **{"mode": "offline", **choices},
    )
    assert run is not None
    left = (folder.wandb / "latest-run").resolve()
    [log] = left.glob("*.wandb")
    sink = WandbSink(run=run, folder=folder)  # it keeps artifacts in the folder
    for step, given in enumerate(folder.read_metrics()):
        picture = {"pictures/q": wandb.Image(str(drawn(folder)))} if step == 1 else {}
        run.log({**given, **picture}, step=step, commit=True)
    if artifact:
        policy = wandb.Artifact("policy", type="model")
        policy.add_file(str(drawn(folder)))
        run.log_artifact(policy)
    run.summary["final/return"] = end
    sink.finish(exit_code)
    wait_until(lambda: "exit" in kinds(log))  # W&B's own process writes it a little later
    kind = "run" if choices.get("mode") == "online" else "offline-run"
    session = left.with_name(f"{kind}-20260101_00000{number}-{run.id}")
    left.rename(session)  # W&B names them by the second
    if cut:
        log = session / log.name
        write_log(log, [record for record in LogReader(log) if record.WhichOneof("record_type") != "exit"])
        log.write_bytes(log.read_bytes()[:-cut])
    return session


def kinds(log: Path) -> set[str]:
    return {record.WhichOneof("record_type") for record in LogReader(log)}


def drawn(folder: RunFolder) -> Path:
    file = folder.path / "picture.png"
    Image.new("RGB", (4, 4)).save(file)
    return file


def killed_at_once(folder: RunFolder, number: int) -> Path:
    session = folder.wandb / f"offline-run-20260101_00000{number}-{folder.wandb_id.read_text().strip()}"
    session.mkdir(parents=True)
    (session / f"run-{folder.wandb_id.read_text().strip()}.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    return session


def there(server: WandbServer, folder: RunFolder) -> Any:
    """The run as the server has it, of which all rows are checked."""
    run = server.runs[folder.wandb_id.read_text().strip()]
    rows = folder.read_metrics()
    assert [row["_step"] for row in run.history] == list(range(len(rows)))
    assert [row["env_steps"] for row in run.history] == [10 * step for step in range(len(rows))]
    for step, given in enumerate(run.history):
        assert given["train/loss"] == pytest.approx(value(step), nan_ok=True)
    return run


def test_a_run_is_sent_once(
    server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = trains(folder, 5, artifact=True)
    folder.update_status(state="finished")
    monkeypatch.setenv("WANDB_MODE", "offline")  # is about training
    monkeypatch.setenv("WANDB_PROJECT", "another")
    monkeypatch.setenv("WANDB_RUN_ID", "another")
    assert sync([str(folder.path)]) == 0
    run = there(server, folder)
    assert (run.state, run.exit_code) == ("finished", 0)
    assert (run.group, run.job_type, run.display_name, run.tags) == ("arm", "train", "qmix seed 0", ["debug"])
    assert run.config == {"config": {"lr": 0.1}, "algo": "qmix"}
    assert (run.summary["final/return"], run.summary["env_steps"], run.summary["_step"]) == (5, 40, 4)
    [picture] = [name for name in run.files if name.startswith("media/images/")]
    assert run.files[picture] == (folder.path / "picture.png").read_bytes()
    [artifact] = server.artifacts.values()
    assert artifact["committed"]
    assert artifact["files"]["picture.png"] == (folder.path / "picture.png").read_bytes()
    assert "cartpole qmix seed=0: sent 5 rows; W&B has all: 5 rows, finished" in capsys.readouterr().out

    server.requests.clear()
    assert sync([str(folder.path)]) == 0
    assert there(server, folder) is run
    assert not {"file_stream", "UpsertBucket"} & set(server.requests)
    assert "cartpole qmix seed=0: there already: 5 rows, finished\n1 run: 1 there already" in capsys.readouterr().out
    assert list(session.glob("*.synced"))


def test_sessions_of_a_killed_run_become_one_history(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two that were killed in the middle of a record, one at once, and the one that finished."""
    trains(folder, 4, cut=30)
    trains(folder, 6, cut=3)
    empty = killed_at_once(folder, 2)
    trains(folder, 9)
    folder.update_status(state="finished")
    assert sync([str(folder.path)]) == 0
    run = there(server, folder)
    assert (run.state, run.summary["final/return"]) == ("finished", 9)
    assert (folder.wandb / "empty" / empty.name).is_dir()
    assert not empty.exists()
    assert "1 empty logs put into" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_went_on_sends_what_is_new(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first session was killed before it told W&B the last two rows."""
    trains(folder, 4, cut=30)
    folder.append_metrics({"env_steps": 40, "train/loss": 1.0})
    folder.append_metrics({"env_steps": 50, "train/loss": 1.25})
    assert sync([str(folder.path)]) == 0
    run = there(server, folder)
    assert (run.state, run.summary["env_steps"]) == ("failed", 50)
    trains(folder, 9)
    folder.update_status(state="finished")
    capsys.readouterr()
    assert sync([str(folder.path)]) == 0
    there(server, folder)
    assert (run.state, run.summary["final/return"], run.summary["_step"]) == ("finished", 9, 8)
    assert (run.group, run.tags, run.config["algo"]) == ("arm", ["debug"], "qmix")
    assert "sent 3 rows; W&B has all: 9 rows" in capsys.readouterr().out


def test_rows_that_a_run_has_gone_back_from_are_not_sent(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    trains(folder, 6, cut=3)
    folder.truncate_to_checkpoint(metrics=4, tables=0)
    assert sync([str(folder.path)]) == 0
    there(server, folder)
    folder.truncate_to_checkpoint(metrics=2, tables=0)  # those that W&B has stay there: the run will make them again
    capsys.readouterr()
    assert sync([str(folder.path)]) == 0
    assert "there already: 4 rows" in capsys.readouterr().out


def test_what_a_run_came_to_is_sent_without_new_rows(server: WandbServer, folder: RunFolder) -> None:
    trains(folder, 4, cut=3)
    assert sync([str(folder.path)]) == 0
    trains(folder, 4)
    folder.update_status(state="finished")
    assert sync([str(folder.path)]) == 0
    run = there(server, folder)
    assert (run.state, run.summary["final/return"]) == ("finished", 4)
    run.summary["final/return"] = 7
    assert sync([str(folder.path)]) == 0
    assert there(server, folder).summary["final/return"] == 4


def test_rows_are_in_order_whichever_session_told_them(folder: RunFolder) -> None:
    """As online sessions leave them: the second told W&B only what it did not have then."""
    for step in range(6):
        folder.append_metrics({"env_steps": 10 * step})
    for number, steps in enumerate([range(0, 3), range(3, 5)]):
        session = folder.wandb / f"run-20260101_00000{number}-a"
        session.mkdir(parents=True)
        records = [Record(run={"run_id": "a", "project": "p"})]
        for step in steps:
            items = [{"key": "_step", "value_json": str(step)}, {"key": "env_steps", "value_json": str(10 * step)}]
            records.append(Record(history={"item": items, "step": {"num": step}}))
        write_log(session / "run-a.wandb", records)
    run = merge_sessions(folder, find_sessions(folder).readable)
    for first in (0, 2, 4, 6):
        into = folder.path / f"from-{first}"
        run.write(into, first=first, project=None, entity=None)
        sent = [record for record in LogReader(into / "run.wandb") if record.WhichOneof("record_type") == "history"]
        assert [row(record)["_step"] for record in sent] == list(range(first, 6))
        assert [row(record)["env_steps"] for record in sent] == [10 * step for step in range(first, 6)]


def test_damage_is_shown_and_costs_no_row(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged block in the middle of a log: rows come from metrics.jsonl, and the damage is counted."""
    session = trains(folder, 5)
    folder.update_status(state="finished")
    [log] = session.glob("*.wandb")
    records = list(LogReader(log))
    at = next(number for number, one in enumerate(records) if one.WhichOneof("record_type") == "history")
    padding = [Record(output_raw={"line": "x" * BLOCK}) for _ in range(3)]
    write_log(log, [*records[:at], *padding, *records[at:]])
    content = bytearray(log.read_bytes())
    content[2 * BLOCK + 500] ^= 1
    log.write_bytes(content)
    assert sync([str(folder.path), "--dry-run"]) == 0
    assert f"{log.name}: 1 damaged blocks or records were skipped" in capsys.readouterr().out
    assert sync([str(folder.path)]) == 0
    there(server, folder)
    assert "1 damaged blocks or records were skipped; their rows are sent from metrics.jsonl" in capsys.readouterr().out


def test_a_log_that_cannot_be_read_is_no_empty_one(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays where it is, and the reason is shown."""
    folder.wandb_id.write_text("a\n")
    session = folder.wandb / "run-20260101_000000-a"
    session.mkdir(parents=True)
    items = [{"key": "env_steps", "value_json": "1"}]
    write_log(session / "run-a.wandb", [Record(run={"run_id": "a", "project": "p"}), Record(history={"item": items})])
    assert sync([str(folder.path)]) == 1
    printed = capsys.readouterr().out
    assert "run-a.wandb has a record that is not W&B's: KeyError: '_step'" in printed
    assert "not sent: no session can be read" in printed
    assert session.is_dir()


def silent_once_broken(server: WandbServer) -> type[SimpleQueue[Any]]:
    """Lines of `wandb sync`, whose silence counts once the server has broken down: the upload may start slowly."""

    class Lines(SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            deadline = time.monotonic() + (timeout or 0.0)
            while True:
                broken = server.failing
                try:
                    return super().get(block, 0.5)
                except Empty:
                    if broken or time.monotonic() > deadline:
                        raise

    return Lines


@pytest.mark.slow
def test_what_a_server_broke_off_is_completed(
    server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trains(folder, 8)
    folder.update_status(state="finished")
    server.breaks_at = 5
    with monkeypatch.context() as impatient:
        impatient.setattr(upload, "SimpleQueue", silent_once_broken(server))
        impatient.setattr("marlpipe.wandb.sync.server.ANSWER_S", 1)
        with pytest.raises(UserError, match="does not answer"):
            sync([str(folder.path)])
    server.breaks_at, server.failing = None, False
    [run] = server.runs.values()
    assert (len(run.history), run.state) == (5, "running")
    assert sync([str(folder.path)]) == 0
    assert there(server, folder).state == "finished"
    assert "sent 3 rows; W&B has all: 8 rows, finished" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_lost_its_server_is_completed(
    server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_run, "FINISH_TIMEOUT_S", 1.0)
    server.breaks_at = 5
    trains(folder, 8, mode="online")
    wandb.teardown()
    server.breaks_at, server.failing = None, False
    [run] = server.runs.values()
    assert (len(run.history), run.state) == (5, "running")
    folder.update_status(state="finished")
    assert sync([str(folder.path)]) == 0
    assert there(server, folder).state == "finished"


def test_a_server_that_loses_rows_is_found_out(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    trains(folder, 8)
    server.forgets = {6, 7}
    assert sync([str(folder.path)]) == 1
    assert "not all there: W&B has 6 rows up to step 5, the run 8 up to 7" in capsys.readouterr().out
    server.forgets = set()
    assert sync([str(folder.path)]) == 0
    there(server, folder)

    del server.runs[folder.wandb_id.read_text().strip()].history[2]
    server.requests.clear()
    assert sync([str(folder.path)]) == 1
    assert "W&B accepts rows in their order only\n  next: send it whole to another" in capsys.readouterr().out
    assert "file_stream" not in server.requests


def test_many_runs_are_told_one_by_one(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = folder.path.parent
    trains(folder, 3)
    other = made(arm / "seed=1")
    trains(other, 5, exit_code=1)
    other.update_status(state="failed", reason="a bug")
    made(arm / "seed=2")
    killed = made(arm / "seed=3")
    killed.wandb_id.write_text("killed\n")
    killed_at_once(killed, 0)
    busy = made(arm / "seed=4")
    trains(busy, 2)
    with FolderLock(busy.lock):
        assert sync([str(arm)]) == 1
    there(server, folder)
    failed = there(server, other)
    assert (failed.state, failed.exit_code) == ("failed", 1)
    assert len(server.runs) == 2
    printed = capsys.readouterr().out
    assert "seed=3: not sent: it was killed before W&B had written anything" in printed
    assert "seed=4: left alone: process" in printed
    assert "5 runs: 2 not sent, 2 sent, 1 not meant for W&B" in printed


def test_a_dry_run_changes_nothing_and_asks_nobody(
    server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    trains(folder, 3)
    empty = killed_at_once(folder, 1)
    assert sync([str(folder.path), "--dry-run"]) == 0
    assert server.requests == []
    assert empty.exists()
    assert "would send what W&B lacks of 3 rows to study as" in capsys.readouterr().out
    folder.wandb_id.write_text("anew\n")
    assert sync([str(folder.path), "--dry-run"]) == 0
    assert "refused: its W&B sessions are of the run cartpole" in capsys.readouterr().out


@pytest.mark.slow
def test_the_project_can_be_chosen(server: WandbServer, folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    server.store.projects = {"ours"}
    trains(folder, 3, artifact=True)
    assert sync([str(folder.path)]) == 1
    assert "W&B: permission denied for the project study" in capsys.readouterr().out
    assert sync([str(folder.path), "--project", "ours"]) == 0
    assert there(server, folder).project == "ours"
    assert [artifact["project"] for artifact in server.artifacts.values()] == ["ours"]


def test_what_a_config_leaves_open_is_sent_where_the_variables_say(
    server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains(folder, 3)
    wandb.teardown()  # `sync` is a process of its own, which reads the variables anew
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    folder.config.write_text("env: 1\nlogger: {project: null, entity: null}\n")
    assert sync([str(folder.path)]) == 0
    assert there(server, folder).project == "theirs"
    folder.config.write_text("env: 1\nlogger: {project: study}\n")
    server.runs.clear()
    assert sync([str(folder.path)]) == 0
    assert there(server, folder).project == "study"


@pytest.mark.parametrize(("variable", "value"), [("WANDB_DISABLED", "true"), ("WANDB_MODE", "disabled")])
def test_nothing_is_sent_where_wandb_is_switched_off(
    variable: str, value: str, server: WandbServer, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains(folder, 3)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=f"{variable}={value} switches W&B off(.|\n)*unset {variable}"):
        sync([str(folder.path)])
    assert server.requests == []


@pytest.mark.parametrize(("save_code", "sent"), [("false", False), ("null", True), ("true", True)])
def test_code_that_an_earlier_version_recorded_is_not_sent(
    save_code: str, sent: bool, server: WandbServer, folder: RunFolder
) -> None:
    folder.code_diff.write_text("+token\n")
    trains(folder, 2, send_code=True)
    folder.config.write_text(f"env: 1\nlogger: {{project: study, save_code: {save_code}}}\n")
    assert sync([str(folder.path)]) == 0
    assert ("marlpipe/code.diff" in there(server, folder).files) is sent


def test_a_folder_without_runs_or_without_wandb_is_an_error(server: WandbServer, folder: RunFolder) -> None:
    with pytest.raises(UserError, match="no run found"):
        sync([str(folder.wandb.parent / "checkpoints")])
    with pytest.raises(UserError, match="logger=wandb"):
        sync([str(folder.path)])
    assert server.requests == []


def test_a_login_that_is_refused_is_an_error(server: WandbServer, folder: RunFolder) -> None:
    trains(folder, 2)
    server.refusing = True
    with pytest.raises(UserError, match=r"does not know this login(.|\n)*wandb login"):
        sync([str(folder.path)])


def test_without_a_login_it_says_so(folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_wandb(monkeypatch, tmp_path):
        trains(folder, 2)
        with pytest.raises(UserError, match=r"nobody is logged in(.|\n)*wandb login"):
            sync([str(folder.path)])


def test_files_of_strangers_stay_at_home(
    server: WandbServer, folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that asks for files elsewhere, as files of the run and as an artifact, gets none of them."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("a key")
    session = trains(folder, 3, artifact=True)
    [log] = session.glob("*.wandb")
    paths = [str(secrets / "key"), "../" * 7 + "secrets/key", "linked", "way/key"]
    assert (session / "files" / paths[1]).read_text() == "a key"
    (session / "files" / "linked").symlink_to(secrets / "key")
    (session / "files" / "way").symlink_to(secrets)
    staging = folder.wandb / "data" / "artifacts" / "staging"
    shutil.rmtree(staging)
    staging.symlink_to(secrets)
    records = list(LogReader(log))
    for record in records:
        if record.WhichOneof("record_type") == "files":
            record.files.files.extend(FilesItem(path=path) for path in paths)
        elif record.WhichOneof("record_type") == "artifact":
            record.artifact.manifest.contents[0].local_path = str(secrets / "key")
    write_log(log, records)
    assert sync([str(folder.path)]) == 1
    assert there(server, folder).files
    assert b"a key" not in there(server, folder).files.values()
    assert server.artifacts == {}
    assert "not all there: artifact policy: its files are not in the run folder" in capsys.readouterr().out


def test_a_link_that_leads_out_is_refused(
    server: WandbServer, folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = trains(folder, 3)
    shutil.move(session, tmp_path / session.name)
    session.symlink_to(tmp_path / session.name)
    assert sync([str(folder.path)]) == 1
    assert "refused: " in capsys.readouterr().out
    assert server.runs == {}
