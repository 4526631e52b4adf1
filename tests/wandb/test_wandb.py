"""What W&B really has of a run, read back from its offline file; and that it never takes a run down."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import wandb
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from PIL import Image

from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import WALL_CLOCK_METRICS
from marlpipe.training.callbacks.recorder import Recorder
from marlpipe.training.fingerprint import fingerprint
from marlpipe.types import RunProgress
from marlpipe.wandb import run as run_module
from marlpipe.wandb.log import history, records
from marlpipe.wandb.own_settings import code_wanted
from marlpipe.wandb.run import logged_in, open_run
from marlpipe.wandb.sink import WandbSink
from tests.support.waiting import wait_until
from tests.wandb.wandb_server import KEY, no_wandb


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with no_wandb(monkeypatch, tmp_path):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "cartpole" / "qmix-1a2b" / "seed=0").create()


def opened(folder: RunFolder, **changes: Any) -> WandbSink:
    sink = maybe_opened(folder, **changes)
    assert sink is not None
    return sink


def maybe_opened(folder: RunFolder, **changes: Any) -> WandbSink | None:
    arguments: dict[str, Any] = {
        "folder": folder,
        "project": "study",
        "group": "qmix-cartpole-1a2b",
        "name": "qmix-cartpole-s0",
        "config": {"algo": {"mixer": {"width": 32}}, "env": {"name": "cartpole"}},
        "comparison": {"algo": "qmix", "env": "cartpole", "seed": 0},
        "tags": ["debug"],
    }
    saved = {name: changes.pop(name) for name in ("save_policy", "save_code") if name in changes}
    run = open_run(**{**arguments, **changes})
    return WandbSink(run=run, folder=folder, **saved) if run else None


def close(sink: WandbSink, folder: RunFolder, *, exit_code: int = 0) -> None:
    """Finishes a run and waits for its last record: W&B's own process writes it a few milliseconds later."""
    before = len(of_kind(folder, "exit"))
    sink.finish(exit_code=exit_code)
    wait_until(lambda: len(of_kind(folder, "exit")) > before, "W&B's last record")


def of_kind(folder: RunFolder, kind: str) -> list[Any]:
    return [getattr(record, kind) for record in records(folder.wandb) if record.WhichOneof("record_type") == kind]


def test_the_offline_file_holds_the_whole_run(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    sink = opened(folder)
    for number, env_steps in enumerate((0, 100, 200)):
        row = {"env_steps": env_steps, "train/loss": 0.5, "eval/return_mean": env_steps / 10}
        folder.append_metrics(row)
        sink.log(row, number)
    close(sink, folder, exit_code=3)

    rows = history(folder.wandb)
    assert [(row["env_steps"], row["eval/return_mean"]) for row in rows] == [(0, 0.0), (100, 10.0), (200, 20.0)]
    assert [row["_step"] for row in rows] == [0, 1, 2]
    (run,) = of_kind(folder, "run")
    assert (run.project, run.run_group, run.job_type, run.display_name) == (
        "study",
        "qmix-cartpole-1a2b",
        "train",
        "qmix-cartpole-s0",
    )
    assert list(run.tags) == ["debug"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["algo"], config["env"], config["seed"]) == ("qmix", "cartpole", 0)
    assert config["config"]["algo"]["mixer"]["width"] == 32
    summary = {item.key: json.loads(item.value_json) for s in of_kind(folder, "summary") for item in s.update}
    told = {"final/return": 20.0, "final/area": 10.0, "best/return": 20.0, "best/env_steps": 200}
    assert {name: summary[name] for name in told} == told
    assert [exit_.exit_code for exit_ in of_kind(folder, "exit")] == [3]
    assert capsys.readouterr().out == f"W&B offline: {folder.wandb}\n"


def test_metrics_are_drawn_over_env_steps(folder: RunFolder) -> None:
    close(opened(folder), folder)
    defined = {metric.glob_name or metric.name: metric.step_metric for metric in of_kind(folder, "metric")}
    assert defined == {
        "env_steps": "",
        **{f"{prefix}*": "env_steps" for prefix in ("train/", "eval/", "rollout/", "time/", "pictures/")},
    }


@pytest.mark.parametrize("prefixes", [("",), ("eval/", "eval/return"), ("a", "a")])
def test_prefixes_that_overlap_are_refused(folder: RunFolder, prefixes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="overlap"):
        maybe_opened(folder, prefixes=prefixes)


def test_a_resumed_run_is_the_same_run(folder: RunFolder) -> None:
    first = opened(folder)
    first.log({"env_steps": 0}, 0)
    close(first, folder)
    time.sleep(1.1)  # W&B names its folders by the second
    second = opened(folder)
    second.log({"env_steps": 100}, 1)
    close(second, folder)
    assert {run.run_id for run in of_kind(folder, "run")} == {folder.wandb_id.read_text().strip()}
    assert [row["env_steps"] for row in history(folder.wandb)] == [0, 100]
    assert folder.wandb_id.read_text().startswith("cartpole-qmix-1a2b-seed-0-")


def test_evaluations_take_their_pictures_along(folder: RunFolder) -> None:
    folder.pictures.mkdir()
    film = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    film[0].save(folder.picture("episode", 100, ".gif"), save_all=True, append_images=film[1:])
    film[0].save(folder.picture("values", 100, ".png"))
    sink = opened(folder)
    sink.log({"env_steps": 0, "eval/return_mean": 1.0}, 0)
    sink.log({"env_steps": 100, "train/loss": 1.0}, 1)
    sink.log({"env_steps": 100, "eval/return_mean": 2.0}, 2)
    close(sink, folder)
    pictures = [{name: row[name] for name in row if name.startswith("pictures/")} for row in history(folder.wandb)]
    assert pictures[:2] == [{}, {}]
    assert pictures[2]["pictures/episode._type"] == "video-file"
    assert pictures[2]["pictures/values._type"] == "image-file"
    (own,) = folder.wandb.glob("offline-run-*/files")
    for name, ending in (("episode", ".gif"), ("values", ".png")):
        file = own / pictures[2][f"pictures/{name}.path"]
        assert file.read_bytes() == folder.picture(name, 100, ending).read_bytes()


@pytest.mark.parametrize("send_code", [False, True])
def test_config_and_provenance_are_saved_and_uncommitted_code_on_request(folder: RunFolder, send_code: bool) -> None:
    folder.config.write_text("algo: qmix\n")
    folder.run.write_text("{}\n")
    folder.code_diff.write_text("+changed\n")
    close(opened(folder, send_code=send_code), folder)
    saved = {file.path for files in of_kind(folder, "files") for file in files.files}
    code = {"marlpipe/code.diff"} if send_code else set()
    assert saved == {"marlpipe/config.yaml", "marlpipe/run.json", "requirements.txt", *code}
    (own,) = folder.wandb.glob("offline-run-*/files/marlpipe")
    assert {file.name for file in own.iterdir()} == {Path(name).name for name in saved - {"requirements.txt"}}
    assert not any(file.is_symlink() for file in own.iterdir())
    assert not any(environment.git.commit for environment in of_kind(folder, "environment"))


def test_the_best_policy_and_the_code_are_artifacts_on_request(folder: RunFolder) -> None:
    close(opened(folder), folder)
    assert of_kind(folder, "artifact") == []
    folder.best_policy.write_bytes(b"a policy")
    folder.append_metrics({"env_steps": 100, "eval/return_mean": 7.0})
    time.sleep(1.1)  # W&B names its folders by the second
    close(opened(folder, save_policy=True, save_code=True), folder)
    code, policy = of_kind(folder, "artifact")
    assert (policy.type, policy.name, set(policy.aliases)) == (
        "model",
        f"policy-{folder.wandb_id.read_text().strip()}",
        {"best", "latest"},
    )
    assert json.loads(policy.metadata)["best/return"] == 7.0
    (file,) = policy.manifest.contents
    assert Path(file.local_path).read_bytes() == b"a policy"
    assert Path(file.local_path).is_relative_to(folder.wandb)
    assert code.type == "code"
    assert "wandb/sink.py" in {entry.path for entry in code.manifest.contents}


def test_a_folder_that_is_made_anew_is_another_run(folder: RunFolder) -> None:
    opened(folder).finish()
    first = folder.wandb_id.read_text()
    folder.wandb_id.unlink()
    opened(folder).finish()
    assert folder.wandb_id.read_text() != first


def test_runs_of_one_process_stay_apart(folder: RunFolder, tmp_path: Path) -> None:
    other = RunFolder(tmp_path / "cartpole" / "vdn-3c4d" / "seed=0").create()
    first, second = opened(folder), opened(other)
    first.log({"env_steps": 1}, 0)
    second.log({"env_steps": 2}, 0)
    close(first, folder)
    close(second, other)
    assert [row["env_steps"] for row in history(folder.wandb)] == [1]
    assert [row["env_steps"] for row in history(other.wandb)] == [2]


def test_artifacts_are_staged_in_the_run_folder(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(folder)
    assert os.environ["WANDB_DATA_DIR"] == str(folder.wandb / "data")
    sink.finish()
    assert "WANDB_DATA_DIR" not in os.environ
    monkeypatch.setenv("WANDB_DATA_DIR", "/chosen/by/the/user")
    opened(folder).finish()
    assert os.environ["WANDB_DATA_DIR"] == "/chosen/by/the/user"


def test_a_killed_run_keeps_what_it_logged(folder: RunFolder) -> None:
    code = (
        "import sys, time; from pathlib import Path; from marlpipe.runs.folder import RunFolder\n"
        "from marlpipe.wandb.sink import WandbSink\n"
        "from marlpipe.wandb.run import open_run\n"
        "folder = RunFolder(Path(sys.argv[1]))\n"
        "run = open_run(folder=folder, project='p', group='g', name='n', config={}, comparison={})\n"
        "WandbSink(run=run, folder=folder).log({'env_steps': 7}, 0)\n"
        "print('logged', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "logged\n" in process.stdout
            deadline = time.monotonic() + 10  # W&B's own interval is 15 s
            while not history(folder.wandb) and time.monotonic() < deadline:
                time.sleep(0.2)
        finally:
            process.kill()
    assert [row["env_steps"] for row in history(folder.wandb)] == [7]


def record(folder: RunFolder, sink: WandbSink, begin: int, end: int) -> None:
    """What a run does that goes on at a row, up to another one. Pairs of rows share their env steps."""
    folder.truncate_to_checkpoint(metrics=begin, tables=0)
    recorder = Recorder(folder=folder, sinks=[sink], every_env_steps=1, total_env_steps=100)
    if begin:
        recorder.load_state_dict({**recorder.state_dict(), "wall_s": 9.0})
    trainer = Trainer(logger=False, accelerator="cpu", plugins=[LightningEnvironment()])
    recorder.on_train_start(trainer, LightningModule())
    for number in range(begin, end):
        recorder.progress = RunProgress(10 * (number // 2), number, 0.1, 0.0, 0.0, 0, False)
        recorder.write(trainer, {"train/loss": math.nan if number == 2 else number / 8})


def record_and_wait(path: Path) -> None:
    """To be killed."""
    folder = RunFolder(path)
    record(folder, opened(folder), 0, 5)
    time.sleep(60)


@pytest.mark.slow
def test_the_fragments_of_a_killed_run_come_to_the_history_of_one_that_was_not(
    folder: RunFolder, tmp_path: Path
) -> None:
    """Killed with rows past its checkpoint, it goes on from there; its second fragment holds the whole history."""
    whole = RunFolder(tmp_path / "whole" / "seed=0").create()
    sink = opened(whole)
    record(whole, sink, 0, 8)
    close(sink, whole)
    wandb.teardown()  # a process that is killed has a service of its own
    process = get_context("spawn").Process(target=record_and_wait, args=(folder.path,))
    process.start()
    wait_until(lambda: len(history(folder.wandb)) >= 5)
    process.kill()
    process.join()
    sink = opened(folder)
    record(folder, sink, 3, 8)
    close(sink, folder)

    def rows(of: RunFolder, fragment: str) -> list[str]:
        clock = {"_timestamp", "_runtime", *WALL_CLOCK_METRICS}
        return [fingerprint({k: v for k, v in row.items() if k not in clock}) for row in history(of.wandb, fragment)]

    expected = rows(whole, "offline-run-*")
    assert len(set(expected)) == 8
    assert [row["_step"] for row in history(whole.wandb)] == list(range(8))
    killed, resumed = (rows(folder, fragment.name) for fragment in sorted(folder.wandb.glob("offline-run-*")))
    assert killed == expected[:5]
    assert resumed == expected
    assert {run.run_id for run in of_kind(folder, "run")} == {folder.wandb_id.read_text().strip()}


def test_auto_is_online_only_with_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not logged_in()
    assert run_module._mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert logged_in()
    assert run_module._mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert run_module._mode("auto") == "offline"
    assert run_module._mode("online") == "online"


def test_a_login_in_netrc_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.example")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine wandb.example\n  login user\n  password {KEY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert logged_in()


def test_a_disabled_sink_is_none(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert maybe_opened(folder, mode="disabled") is None
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert maybe_opened(folder) is None
    assert not folder.wandb.exists()


@pytest.mark.parametrize(("value", "off"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_wandb_disabled_switches_it_off(value: str, off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DISABLED", value)
    assert (run_module._mode("auto") == "disabled") is off
    assert run_module._mode("offline") == "offline"  # typed


OF_WANDB = {
    "WANDB_PROJECT": "theirs",
    "WANDB_ENTITY": "them",
    "WANDB_TAGS": "a,b",
    "WANDB_NOTES": "as before",
    "WANDB_RUN_GROUP": "together",
    "WANDB_NAME": "first",
    "WANDB_JOB_TYPE": "trial",
    "WANDB_HOST": "somewhere",
    "WANDB_SILENT": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_RUN_ID": "my-own",
    "WANDB_DIR": "/nowhere",
}


def test_variables_of_wandb_decide_what_a_config_leaves_open(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.run.write_text('{"git": {"commit": "f00d"}, "hardware": {"host": "real"}, "sessions": [{"host": "real"}]}')
    for name, value in OF_WANDB.items():
        monkeypatch.setenv(name, value)
    close(opened(folder, project=None, entity=None, tags=None), folder)
    (run,) = of_kind(folder, "run")
    assert (run.project, run.entity, list(run.tags), run.notes) == ("theirs", "them", ["a", "b"], "as before")
    assert (run.run_group, run.display_name, run.job_type, run.host) == ("together", "first", "trial", "somewhere")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "warning: not obeyed: WANDB_RUN_ID (a run has an id of its own, in wandb_id.txt), "
        "WANDB_DIR (records are in the run's folder)\n"
    )
    assert run.run_id == folder.wandb_id.read_text().strip()
    (sent,) = folder.wandb.glob("offline-run-*/files/marlpipe/run.json")
    assert "real" not in sent.read_text()
    assert "f00d" not in sent.read_text()


def test_what_a_config_says_wins_over_the_variables(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OF_WANDB.items():
        monkeypatch.setenv(name, value)
    close(opened(folder, project="study", entity="us", tags=[]), folder)
    (run,) = of_kind(folder, "run")
    assert (run.project, run.entity, list(run.tags)) == ("study", "us", [])


@pytest.mark.parametrize(
    ("typed", "variables", "wanted"),
    [
        (None, {}, False),
        (None, {"WANDB_SAVE_CODE": "true"}, True),
        (None, {"WANDB_SAVE_CODE": "true", "WANDB_DISABLE_CODE": "true"}, False),
        (False, {"WANDB_SAVE_CODE": "true"}, False),
        (True, {"WANDB_DISABLE_CODE": "true"}, True),
    ],
)
def test_code_is_sent_on_request_only(
    typed: bool | None, variables: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert code_wanted(typed) is wanted


def test_a_server_that_does_not_answer_means_offline(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port of "discard": nobody listens
    monkeypatch.setattr(run_module, "INIT_TIMEOUT_S", 2.0)
    sink = opened(folder)
    sink.log({"env_steps": 5}, 0)
    close(sink, folder)
    assert [row["env_steps"] for row in history(folder.wandb)] == [5]
    assert {run.run_id for run in of_kind(folder, "run")} == {folder.wandb_id.read_text().strip()}
    assert "W&B cannot start online" in capsys.readouterr().err


def test_no_wandb_at_all_is_a_warning(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    assert maybe_opened(folder) is None
    told = capsys.readouterr().err
    assert told.count("W&B cannot start offline: no service") == 1
    assert "continuing without W&B" in told


def test_a_sink_that_breaks_is_told_once(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = opened(folder)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("pipe closed")

    monkeypatch.setattr(sink.run, "log", broken)
    sink.log({"env_steps": 1}, 0)
    sink.log({"env_steps": 2}, 1)
    assert capsys.readouterr().err.count("pipe closed") == 1
    close(sink, folder, exit_code=1)
    assert [exit_.exit_code for exit_ in of_kind(folder, "exit")] == [1]


def test_settings_of_wandb_that_cannot_be_read_are_a_warning(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: Any) -> None:
        raise ValueError("no such mode")

    monkeypatch.setattr(wandb, "setup", broken)
    assert maybe_opened(folder) is None
    assert "whose settings cannot be read: no such mode" in capsys.readouterr().err
