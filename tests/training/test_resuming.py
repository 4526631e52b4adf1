"""From which checkpoint a run goes on: damaged files, strangers' files, other code, other configs."""

import pickle
import shutil
import signal
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from marlpipe.commands.drill.verdict import departures
from marlpipe.config.naming import arm_hash
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.checkpoints import (
    FORMAT,
    Checkpoint,
    check_same_run,
    checkpoint_header,
    damage_of,
    newest_checkpoint,
    read_checkpoint,
)
from marlpipe.training.learner import Learner
from marlpipe.training.session import train
from tests.training import test_resume

SHORT = [
    *("env_steps=120", "env.time_limit=10", "env.n_agents=2", "agent.hidden=8"),
    *("profile.batch_episodes=4", "profile.replay_episodes=8", "profile.parallel_episodes=2"),
    *("profile.updates_per_rollout=3", "profile.target_update_episodes=5"),
    *("evaluation.every_env_steps=40", "evaluation.episodes=2", "evaluation.films=0", "record_every_env_steps=20"),
    *("logger=none", "threads=1", "trainer=cpu"),
]

pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]


def task(folder: Path, *overrides: str) -> DictConfig:
    """The config as Hydra hands it to a run in `folder`."""
    return test_resume.task(folder, *SHORT, *overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(task(folder))
    return RunFolder(folder)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was stopped with two checkpoints behind it."""
    folder, step = tmp_path_factory.mktemp("stopped"), Learner.training_step

    def stopping(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        if self.trainer.global_step == 7:
            signal.raise_signal(signal.SIGUSR2)
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "training_step", stopping)
        with suppress(KeyboardInterrupt):
            train(task(folder, "checkpoint_minutes=0.0"))
    return RunFolder(folder)


@pytest.fixture
def folder(stopped_once: RunFolder, tmp_path: Path) -> RunFolder:
    found = RunFolder(shutil.copytree(stopped_once.path, tmp_path / "run"))
    assert found.status.state == "interrupted"
    assert found.last_checkpoint.exists()
    assert found.previous_checkpoint.exists()
    return found


def finished(folder: RunFolder) -> RunFolder:
    train(task(folder.path))
    assert folder.status.state == "finished"
    return folder


def refused(folder: RunFolder, *overrides: str) -> str:
    """What the person is told; the status file says it too."""
    with pytest.raises(UserError) as told:
        train(task(folder.path, *overrides))
    return str(told.value)


def files(folder: RunFolder) -> dict[str, bytes]:
    found = [path for path in sorted(folder.path.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in found}


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def in_the_replay(path: Path) -> int:
    """The middle of the observations."""
    stored = torch.load(path, weights_only=True)["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]["replay"]
    obs = stored["episodes"]["obs"].numpy().tobytes()
    return path.read_bytes().index(obs) + len(obs) // 2


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Stores something else in a checkpoint, which stays a whole one."""
    stored = torch.load(path, weights_only=True)
    change(stored)
    torch.save(stored, path)


@pytest.mark.parametrize("length", [0, 3, 0.5])
def test_a_checkpoint_that_was_cut_off(
    length: float, whole: RunFolder, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    content = folder.last_checkpoint.read_bytes()
    cut = content[: int(length * len(content))] if length == 0.5 else content[: int(length)]
    folder.last_checkpoint.write_bytes(cut)
    finished(folder)
    told = capsys.readouterr().err
    assert f"{folder.last_checkpoint} is damaged (" in told
    assert "kept as last.ckpt.damaged; the run resumes from the checkpoint before it" in told
    assert (folder.checkpoints / "last.ckpt.damaged").read_bytes() == cut
    assert departures(whole, folder) == []


def test_a_checkpoint_that_a_power_loss_left_as_zeros(folder: RunFolder) -> None:
    size = folder.last_checkpoint.stat().st_size
    folder.last_checkpoint.write_bytes(bytes(size))
    assert damage_of(folder.last_checkpoint) is not None


def test_one_wrong_byte_in_the_replay(whole: RunFolder, folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert damage_of(folder.last_checkpoint) is None
    flip(folder.last_checkpoint, in_the_replay(folder.last_checkpoint))
    finished(folder)
    told = capsys.readouterr().err
    assert "is damaged (the checksum of " in told
    assert "resumes from the checkpoint before it" in told
    assert departures(whole, folder) == []


def test_both_are_damaged(whole: RunFolder, folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    flip(folder.last_checkpoint, in_the_replay(folder.last_checkpoint))
    folder.previous_checkpoint.write_bytes(b"")
    finished(folder)
    told = capsys.readouterr().err
    assert f"{folder.last_checkpoint} is damaged" in told
    assert f"{folder.previous_checkpoint} is damaged" in told
    assert "the run starts anew, with the same results" in told
    assert sorted(file.name for file in folder.checkpoints.glob("*.damaged")) == [
        "last.ckpt.damaged",
        "previous.ckpt.damaged",
    ]
    assert departures(whole, folder) == []


def test_the_last_one_is_missing(whole: RunFolder, folder: RunFolder) -> None:
    """The moment between the renaming of the old one and of the new one."""
    folder.last_checkpoint.unlink()
    assert departures(whole, finished(folder)) == []


def test_a_wrong_byte_anywhere_is_damage_or_nothing_or_a_refusal(tmp_path: Path) -> None:
    """Names, offsets, methods and flags of the list of contents, of a small checkpoint for the time's sake."""
    header = {"format": FORMAT, "marlpipe": "0", "arm": "a", "seed": 0}
    progress = {"env_steps": 0, "gradient_steps": 0, "rows": {"metrics": 0, "tables": 0}}
    small = {"header": {**header, **progress}, "x": torch.ones(4)}
    good = tmp_path / "good"
    torch.save(small, good)
    content, path = good.read_bytes(), tmp_path / "one"
    found = Counter[str]()
    for at in range(4, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xC1]) + content[at + 1 :])
        if damage_of(path) is not None:
            found["damaged"] += 1
        else:
            try:
                read_checkpoint(path, header)
                found["nothing"] += 1
            except UserError:
                found["refused"] += 1
    assert found["damaged"] > found["refused"] > 0


class Marker:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("packed", ["a pickle", "a zip with a pickle", "a zip of something else", "what torch saved"])
def test_a_strangers_file_is_neither_executed_nor_moved(packed: str, folder: RunFolder, tmp_path: Path) -> None:
    marker = Marker(tmp_path / "marker")
    last = folder.last_checkpoint
    if packed == "a pickle":
        last.write_bytes(pickle.dumps(marker))
    elif packed == "what torch saved":
        torch.save({"header": marker, "x": torch.ones(3)}, last)
    else:
        with zipfile.ZipFile(last, "w") as archive:
            archive.writestr("archive/data.pkl" if "pickle" in packed else "letter.txt", pickle.dumps(marker))
            archive.writestr("archive/version", "3\n")
    before = last.read_bytes()
    told = refused(folder)
    assert str(last) in told
    assert "executed" in told
    assert "Move it away; the same command then resumes from the checkpoint before it" in told
    assert not (tmp_path / "marker").exists()
    assert last.read_bytes() == before
    assert folder.status.state == "failed"
    assert folder.status.reason == told


def test_after_a_strangers_file_is_moved_away_the_run_goes_on(whole: RunFolder, folder: RunFolder) -> None:
    folder.last_checkpoint.write_bytes(b"not a checkpoint")
    assert "is no checkpoint" in refused(folder)
    folder.last_checkpoint.unlink()
    assert departures(whole, finished(folder)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c["header"].update(format=1), "was made by marlpipe "),
        (lambda c: c["header"].update(format=99, marlpipe="9.9"), "was made by marlpipe 9.9, and this is"),
        (lambda c: c.pop("header"), "was made by marlpipe of an earlier version"),
        (lambda c: c.update(header=[1]), "was made by marlpipe of an earlier version"),
        (lambda c: c["header"].update(arm="0badcafe"), "belongs to another run: arm 0badcafe, seed 0 instead of"),
        (lambda c: c["header"].update(seed=3), "belongs to another run: "),
    ],
)
def test_a_checkpoint_of_another_version_or_another_run(
    change: Callable[[dict[str, Any]], object], told: str, folder: RunFolder
) -> None:
    changed(folder.last_checkpoint, change)
    before = {name: content for name, content in files(folder).items() if name != "status.json"}
    message = refused(folder)
    assert f"{folder.last_checkpoint} {told}" in message
    assert "\n  Finish the run with the code that began it" in message or "\n  Move it away" in message
    assert {name: content for name, content in files(folder).items() if name in before} == before


def test_tensors_of_other_code(whole: RunFolder, folder: RunFolder) -> None:
    keep = folder.last_checkpoint.read_bytes()

    def renamed(stored: dict[str, Any]) -> None:
        state = stored["state_dict"]
        name = next(name for name in state if name.endswith("weight"))
        state["algorithm.older_name"] = state.pop(name)

    changed(folder.last_checkpoint, renamed)
    told = refused(folder)
    assert "the checkpoint was made by other code, with other tensors:" in told
    assert "    algorithm.older_name: [" in told
    assert "] there, none here" in told
    assert "none there, [" in told
    assert "\n  Finish the run with the code that began it, which run.json names; or move the folder away" in told

    def reshaped(stored: dict[str, Any]) -> None:
        stored["state_dict"] = {name: torch.ones(3, 7, 5) for name in stored["state_dict"]}

    changed(folder.last_checkpoint, reshaped)
    told = refused(folder)
    assert "[3, 7, 5] there, [" in told
    assert " more\n" in told
    folder.last_checkpoint.write_bytes(keep)
    assert departures(whole, finished(folder)) == []


@pytest.mark.parametrize(("name", "kept"), [("metrics.jsonl", 1), ("tables.jsonl", 0), ("metrics.jsonl", None)])
def test_rows_that_were_lost(name: str, kept: int | None, whole: RunFolder, folder: RunFolder) -> None:
    """The run stops before it writes anything else, and goes on once they are back."""
    log = folder.path / name
    before = log.read_bytes()
    if kept is None:
        log.unlink()
    else:
        log.write_bytes(b"".join(before.splitlines(keepends=True)[:kept]))
    told = refused(folder)
    assert f"{log} has {kept or 0} rows, and had " in told
    assert "\n  Restore it; or, to train anew, delete the run's folder and issue the same command again." in told
    assert folder.last_checkpoint.exists()
    log.write_bytes(before)
    assert departures(whole, finished(folder)) == []


@pytest.mark.parametrize("state", ["interrupted", "finished"])
@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("algo=vdn", "    mixer._target_: models.mixers."),
        ("env.n_agents=4", "    env.n_agents: 2 there, 4 here\n"),
        ("seed=5", "    seed: 0 there, 5 here\n"),
        ("env_steps=130", "    env_steps: 120 there, 130 here\n"),
        ("agent.hidden=9", "    agent.hidden: 8 there, 9 here\n"),
        ("mixer=sum", "no such key here\n"),
    ],
)
def test_an_old_folder_with_a_changed_config_is_left_as_it_is(
    state: str, override: str, told: str, folder: RunFolder, whole: RunFolder, tmp_path: Path
) -> None:
    if state == "finished":
        folder = RunFolder(shutil.copytree(whole.path, tmp_path / "finished"))
    before = files(folder)
    message = refused(folder, override)
    assert message.startswith(f"{folder.path} holds another run, and is left as it is:\n")
    assert told in message
    assert "\n  Move the folder away" in message
    assert "object at" not in message
    assert files(folder) == before


def test_only_what_the_results_depend_on_is_told(tmp_path: Path) -> None:
    folder, there, here = RunFolder(tmp_path).create(), task(tmp_path), task(tmp_path, "agent.hidden=9")
    with open_dict(there), open_dict(here):
        there.env.workers, here.env.workers, here.env.wind = 1, 2, 0.5
        there.threads, here.threads = 1, 2
    folder.config.write_text(OmegaConf.to_yaml(there, resolve=True))
    folder.run.write_text('{"arm": "0badcafe", "seed": 0}')
    with pytest.raises(UserError) as told:
        check_same_run(folder, here, arm_hash(here))
    assert str(told.value).splitlines()[1:-1] == [
        "    env.wind: no such key there, 0.5 here",
        "    agent.hidden: 8 there, 9 here",
    ]
    folder.config.unlink()
    with pytest.raises(UserError, match="is left as it is:\n  Move the folder away"):
        check_same_run(folder, here, arm_hash(here))


def test_a_full_disk_during_a_checkpoint_leaves_the_one_before(
    whole: RunFolder, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is written to this device finds it full."""
    partial, kept = folder.checkpoints / "last.partial", files(folder)

    def filled(folder: RunFolder, header: dict[str, Any]) -> Checkpoint | None:
        partial.symlink_to("/dev/full")
        return newest_checkpoint(folder, header)

    with monkeypatch.context() as patch:
        patch.setattr("marlpipe.training.session.newest_checkpoint", filled)
        told = refused(folder, "checkpoint_minutes=0.0")
    assert f"cannot write {folder.last_checkpoint}: No space left on device\n  The disk is full" in told
    assert (folder.status.state, folder.status.reason) == ("failed", told)
    for name in ("last.ckpt", "previous.ckpt"):
        assert (folder.checkpoints / name).read_bytes() == kept[f"checkpoints/{name}"]
    assert not partial.is_symlink()
    assert departures(whole, finished(folder)) == []


def test_a_run_that_was_taken_over_saves_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before, step = files(folder), Learner.training_step
    theirs = '{"host": "far", "pid": 7, "token": "theirs", "beat": 1}'

    def frozen(self: Learner, batch: Any, batch_idx: int) -> dict[str, Any]:
        """For longer than anybody waits."""
        folder.lock.write_text(theirs)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", frozen)
    with pytest.raises(KeyboardInterrupt):
        train(task(folder.path, "checkpoint_minutes=0.0"))
    assert folder.lock.read_text() == theirs
    for name in ("last.ckpt", "previous.ckpt"):
        assert (folder.checkpoints / name).read_bytes() == before[f"checkpoints/{name}"]


def test_what_is_no_part_of_the_results_may_change(whole: RunFolder, folder: RunFolder) -> None:
    train(task(folder.path, "checkpoint_minutes=0.001", "deterministic=true"))
    assert departures(whole, folder) == []


def test_a_run_record_that_is_none(folder: RunFolder) -> None:
    folder.run.write_text("[]")
    before = files(folder)
    assert f"{folder.run} holds no JSON object" in refused(folder)
    assert files(folder) == before


def test_a_lost_run_record_does_not_let_another_run_in(folder: RunFolder) -> None:
    folder.run.unlink()
    assert "belongs to another run" in refused(folder, "agent.hidden=9")


def test_nothing_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert newest_checkpoint(RunFolder(tmp_path / "run").create(), checkpoint_header("0badcafe", 0)) is None
