"""What the command line says to input that cannot be: what is wrong, what would be right, and no traceback."""

from pathlib import Path

import pytest

from marlpipe.runs.folder import RunFolder
from tests.commands.terminal import SmallDisk, run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["algo=qmx"], ["algo: the option 'qmx'", "Did you mean 'qmix'?", "valid: cw_qmix, dop,"]),
        (
            # nothing starts for the sake of the arms that could run, and each of the others is named with its reason
            ["seed=0,1", "algo=lomaq", "partition=explicit", "partition.blocks=[[0],[1]],[[0]]"],
            ["nothing was started", "1 of the grid's 2 arms", "partition.blocks=[[0]]\n", "missing: [1]"],
        ),
    ],
)
def test_bad_input_is_refused_before_anything_starts(arguments: list[str], told: list[str], tmp_path: Path) -> None:
    code, out, err = run(tmp_path, *arguments, grid="seed=0,1" in arguments)
    assert (code, out) == (2, "")
    assert err.startswith("marlpipe: ")
    assert all(part in err for part in told), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("runs", "step"),
    [
        ("file/runs", "A file stands where a folder is needed"),
        pytest.param("/proc/runs", "Check that the path", marks=pytest.mark.slow),
    ],
)
def test_a_folder_that_cannot_be_is_named(runs: str, step: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, out, err = run(tmp_path, f"paths.runs={runs}", "seed=0,1", grid=True)
    assert (code, out) == (2, "")
    assert "cannot make the run folder " in err
    assert f"{runs}/cartpole/qmix-" in err
    assert step in err
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.slow
def test_a_read_only_disk_is_named_and_what_is_on_it_stays_readable(small_disk: SmallDisk, tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "paths.runs=disk", inside=small_disk.inside)
    assert code == 0, err
    small_disk.make_read_only()
    code, out, _ = run(tmp_path, "paths.runs=disk", inside=small_disk.inside)
    assert code == 0  # a finished run is not touched
    assert "return of the last evaluation" in out
    code, _, err = run(tmp_path, "paths.runs=disk", "seed=1", inside=small_disk.inside)
    assert code == 2
    assert "/seed=" in err
    assert "That file system is read-only: choose another folder" in err
    (folder,) = (RunFolder(file.parent) for file in small_disk.path.rglob("metrics.jsonl"))
    assert folder.status.state == "finished"
    assert folder.read_metrics()[-1]["env_steps"] >= 300
