"""`python -m marlpipe reproduce`: a run again, what differs from then, and where it diverges."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from marlpipe.analysis.evaluated_runs import find_runs
from marlpipe.commands.reproduce.divergence import curve, curve_distance, divergence
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.session import train
from tests.support.command import verb
from tests.training.test_resume import stopping, task

pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]
Capture = pytest.CaptureFixture[str]
PLACE = Path("cartpole") / "vdn-12345678" / "seed=0"

run = verb("reproduce")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / PLACE
    train(task(folder, "algo=vdn"))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to change; commands are typed where its runs are."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(trained, tmp_path / "multirun" / PLACE)


def rewrite(folder: Path, **changes: Any) -> None:
    """Other values in the record of a run; None takes the key away."""
    record = json.loads((folder / "run.json").read_text())
    for key, value in changes.items():
        if value is None:
            del record[key]
        else:
            record[key] = {**(record[key] or {}), **value}  # code that git does not know has no commit
    (folder / "run.json").write_text(json.dumps(record))


def reconfigure(folder: Path, **changes: Any) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, folder / "config.yaml")


def change_row(folder: Path, number: int, **changes: float) -> dict[str, float]:
    """Adds to numbers of a row of metrics; returns the row as it was."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    row: dict[str, float] = json.loads(lines[number])
    lines[number] = json.dumps(row | {name: row[name] + more for name, more in changes.items()})
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return row


def test_a_run_again_is_equal_and_no_seed_more(folder: Path, capsys: Capture) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert run([str(folder)]) == 0
    out = capsys.readouterr().out
    again = Path("reproductions") / PLACE
    rows = len(RunFolder(folder).read_metrics())
    assert "Nothing differs from then" in out
    assert (
        f"It is equal to the last bit: {rows} rows of metrics, parameters, optimizers, replay, generators, schedules, "
        "tables.\n"
    ) in out
    assert (again / "reproduction.png").read_bytes().startswith(b"\x89PNG")
    assert (again / "fingerprint.json").read_bytes() == (folder / "fingerprint.json").read_bytes()
    assert len(find_runs([Path("multirun")])) == 1
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    ours, theirs = (json.loads((place / "run.json").read_text()) for place in (again, folder))
    for key in ("label", "arm", "seed", "choices", "overrides", "numerics", "environment"):
        assert ours[key] == theirs[key]

    assert run([str(folder)]) == 0  # nothing is trained a second time
    told = capsys.readouterr()
    assert "Was trained again, and is compared anew" in told.out
    assert "finished already" in told.err


def test_where_it_departs(folder: Path, capsys: Capture) -> None:
    rows = RunFolder(folder).read_metrics()
    evaluations = [number for number, row in enumerate(rows) if "eval/return_mean" in row]
    row = change_row(folder, evaluations[-2], **{"eval/return_mean": 0.25, "wall_s": 9.0})
    change_row(folder, evaluations[-1], **{"eval/return_mean": -0.125})
    assert run([str(folder)]) == 1
    out = capsys.readouterr().out
    at, then = f"{row['env_steps']:.0f}", row["eval/return_mean"]
    assert (
        f"It diverges at env_steps={at}, row {evaluations[-2] + 1} of {len(rows)}, "
        f"in eval/return_mean: {then + 0.25!r} then, {then!r} now.\n"
    ) in out
    end = f"{rows[-1]['env_steps']:.0f}"
    assert f"are 0.125 apart at the end (env_steps={end}), and at most 0.25 (env_steps={at}).\n" in out


def test_equal_metrics_of_other_parameters(folder: Path, capsys: Capture) -> None:
    stored = json.loads((folder / "fingerprint.json").read_text())
    (folder / "fingerprint.json").write_text(json.dumps(stored | {"parameters": "0" * 16}))
    assert run([str(folder)]) == 1
    assert "rows of metrics are equal, but it diverges in its parameters.\n" in capsys.readouterr().out


def test_rows_that_are_missing(folder: Path, capsys: Capture) -> None:
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:-1]))
    assert run([str(folder)]) == 1
    assert f"{len(lines) - 1} rows of metrics then, {len(lines)} now" in capsys.readouterr().out


def test_what_differs_is_told_before_anything_starts(folder: Path, capsys: Capture) -> None:
    commit = "0123456789" * 4
    (folder / "code.diff").write_text("patch")
    rewrite(
        folder,
        git={"commit": commit},
        versions={"torch": "1.13.1", "mine": "3.0.1"},
        numerics={"threads": 2},
        hardware={"host": "a\x1b[31mnode"},
    )
    record = json.loads((folder / "run.json").read_text())
    sessions = [*record["sessions"], record["sessions"][0] | {"commit": "another"}]
    (folder / "run.json").write_text(json.dumps(record | {"sessions": sessions}))
    assert run([str(folder), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "The run was resumed with other code than it began with: it had 2 sessions.\n" in out
    lines = [line.split() for line in out.splitlines()]
    bits, rest = lines.index(["bits", "depend", "on", "it"]), lines.index(["the", "rest"])
    assert bits < next(number for number, line in enumerate(lines) if line[:1] == ["versions.torch"]) < rest
    assert rest < next(number for number, line in enumerate(lines) if line[:1] == ["versions.mine"])
    assert ["hardware.host", "a[31mnode"] in [line[:2] for line in lines]
    assert f"git checkout {commit} && git apply {folder / 'code.diff'}\n" in out
    assert not any(line[:1] == ["numerics.threads"] for line in lines)  # it takes as many as then
    assert not Path("reproductions").exists()


@pytest.mark.slow
def test_an_older_run_that_tells_less(folder: Path, capsys: Capture) -> None:
    (folder / "fingerprint.json").unlink()
    rewrite(folder, numerics=None, environment=None)
    config = OmegaConf.load(folder / "config.yaml")
    for key in ("deterministic", "compile"):
        del config[key]
    del config.evaluation["episodes"]
    OmegaConf.save(config, folder / "config.yaml")
    reconfigure(folder, logger={"_target_": "marlpipe.wandb.sink.wandb_sink", "_partial_": True})
    assert run([str(folder), "--env-steps=60"]) == 1  # with 32 episodes instead of 2
    out = capsys.readouterr().out
    assert "Keys that the run did not have, at their defaults: " in out
    assert {"compile", "deterministic", "evaluation.episodes"} == set(
        out.split("at their defaults: ")[1].split(".\n")[0].split(", ")
    )
    assert "environment, numerics.\n" in out.split("The run did not record: ")[1]
    reconfigure(folder, **{"evaluation.episodes": 2})
    assert run([str(folder), "--out=other"]) == 0
    out = capsys.readouterr().out
    assert "Compared were the metrics only: the run has no fingerprint.\n" in out
    assert not (Path("other") / "wandb").exists()


def test_keys_that_todays_code_does_not_know(folder: Path) -> None:
    reconfigure(folder, warp=9, **{"profile.lucky": True})
    with pytest.raises(UserError, match=r"(?s)does not know: .*profile\.lucky.*next: take the code of then") as told:
        run([str(folder)])
    assert "warp" in str(told.value)
    reconfigure(folder, **{"mixer.colour": "red"})
    config = OmegaConf.load(folder / "config.yaml")
    del config["warp"], config.profile["lucky"]
    OmegaConf.save(config, folder / "config.yaml")
    with pytest.raises(UserError, match=r"(?s)cannot build.*mixer: the key 'colour' does not exist"):
        run([str(folder)])


def test_only_the_beginning(folder: Path, capsys: Capture) -> None:
    rows = RunFolder(folder).read_metrics()
    assert run([str(folder), "--env-steps=100"]) == 0
    out = capsys.readouterr().out
    again = RunFolder(Path("reproductions") / PLACE.with_name("seed=0-to-100"))
    ours = again.read_metrics()
    assert 100 <= ours[-1]["env_steps"] < rows[-1]["env_steps"]
    surplus = "eval/return_mean" not in rows[len(ours) - 1]  # of each run, the end is evaluated
    assert f"equal to the last bit: {len(ours) - surplus} rows of metrics.\n" in out
    change_row(folder, len(ours) - 1 - surplus, gradient_steps=1)
    assert run([str(folder), "--env-steps=100"]) == 1
    with pytest.raises(UserError, match=r"--env-steps=261 is more than the run was to have.\n  valid: at most 260"):
        run([str(folder), "--env-steps=261"])


def test_a_run_that_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "multirun" / PLACE
    with monkeypatch.context() as patch:
        stopping(patch, signal.SIGTERM, {14})
        with pytest.raises(KeyboardInterrupt):
            train(task(folder, "algo=vdn"))
    rows = RunFolder(folder).read_metrics()
    assert run([str(folder)]) == 0
    assert f"equal to the last bit: {len(rows)} rows of metrics.\n" in capsys.readouterr().out
    RunFolder(folder).metrics.write_text("")
    with pytest.raises(UserError, match="no rows of metrics yet"):
        run([str(folder)])


@pytest.mark.slow
def test_an_interrupted_reproduction_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stored = json.loads((folder / "fingerprint.json").read_text())
    del stored["generators"]  # checks of types, which only tests make, draw from Python's, and more in two sessions
    (folder / "fingerprint.json").write_text(json.dumps(stored))
    with monkeypatch.context() as patch:
        stopping(patch, signal.SIGTERM, {9})
        with pytest.raises(KeyboardInterrupt):
            run([str(folder)])
    again = RunFolder(Path("reproductions") / PLACE)
    assert again.status.state == "interrupted"
    steps = stopping(monkeypatch, signal.SIGTERM, set())
    assert run([str(folder)]) == 0
    assert steps[0] == 10
    assert "equal to the last bit" in capsys.readouterr().out


def test_a_strangers_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    (folder / "fingerprint.json").rename(outside)
    (folder / "fingerprint.json").symlink_to(outside)
    with pytest.raises(UserError, match="is a link that leads out of"):
        run([str(folder)])
    (folder / "fingerprint.json").unlink()
    reconfigure(folder, **{"mixer._target_": "os.system"})
    with pytest.raises(UserError, match=r"mixer\._target_ is 'os\.system'"):
        run([str(folder)])


@pytest.mark.parametrize("numbers", ["text", {"threads": -1}, {"threads": "many"}])
def test_threads_that_cannot_be(numbers: Any, folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"numerics": numbers}))
    if numbers == "text":
        assert run([str(folder), "--dry-run"]) == 0
    else:
        with pytest.raises(UserError, match=r"threads cannot be"):
            run([str(folder), "--dry-run"])


def test_rows_without_env_steps(folder: Path) -> None:
    change_row(folder, 2, env_steps=float("1e300"))
    with pytest.raises(UserError, match="not every row has its env_steps"):
        run([str(folder)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "missing argument 'FOLDER'.\n  valid: marlpipe reproduce [OPTIONS] FOLDER"),
        (["a", "b"], "got unexpected extra argument (b)"),
        (["a", "--outt=b"], "Did you mean '--out'"),
        (["a", "--env-steps=0"], "--env-steps=0 is not possible"),
        (["a", "--env-steps=x"], "--env-steps=x is not possible"),
        (["a", "--out"], "requires an argument"),
        (["nowhere"], "nowhere is not there"),
        (["."], "it has no config.yaml"),
    ],
)
def test_what_cannot_be_typed(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as told:
        run(arguments)
    assert expected in str(told.value)


@pytest.mark.parametrize("out", [".", "inside", "../../.."])
def test_it_never_goes_into_the_run_itself(out: str, folder: Path) -> None:
    with pytest.raises(UserError, match="cannot be the run itself"):
        run([str(folder), f"--out={folder / out}"])


def test_rows_depart_where_they_first_differ() -> None:
    nan = float("nan")
    then = [{"env_steps": 1.0, "a": nan, "wall_s": 1.0}, {"env_steps": 2.0, "a": 1.0, "b": 2.0, "old": 0.0}]
    assert divergence(then, [dict(row) for row in then]) is None
    assert (
        divergence(then, [{"env_steps": 1.0, "a": nan, "wall_s": 2.0}, {"env_steps": 2.0, "a": 1.0, "b": 2.0}]) is None
    )
    found = divergence(then, [{"env_steps": 1.0, "a": nan}, {"env_steps": 2.0, "b": 2.5}])
    assert found
    assert (found.number, found.metric, found.then, found.now, found.others) == (1, "a", 1.0, None, 1)


def test_curves_are_compared_between_their_points() -> None:
    def evaluations(points: dict[float, float]) -> list[dict[str, float]]:
        return [{"env_steps": at, "eval/return_mean": value} for at, value in points.items()]

    then = curve([*evaluations({0.0: 0.0, 10.0: 10.0, 20.0: 10.0}), {"env_steps": 30.0}])
    gap = curve_distance(then, curve(evaluations({0.0: 0.0, 5.0: 8.0, 15.0: 9.0, 99.0: float("nan")})))
    assert gap
    assert (gap.end_at, gap.end, gap.most_at, gap.most) == (15, 1, 5, 3)
    assert curve_distance(then, curve(evaluations({50.0: 1.0}))) is None
    assert curve_distance(then, curve([])) is None
