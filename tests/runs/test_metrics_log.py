"""The metrics log survives a killed writer and is cut back on resume."""

import json
import math
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import truncate_rows


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path).create()
    for env_steps in (0, 100, 200, 300):
        folder.append_metrics({"env_steps": env_steps, "train/loss": env_steps / 1000})
    return folder


def test_rows_come_back_in_order(folder: RunFolder) -> None:
    assert folder.read_metrics()[1] == {"env_steps": 100, "train/loss": 0.1}
    assert [row["env_steps"] for row in folder.read_metrics()] == [0, 100, 200, 300]


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "new").read_metrics() == []
    assert truncate_rows(tmp_path / "new" / "metrics.jsonl", 0) == 0
    assert not (tmp_path / "new").exists()


def test_each_row_is_on_the_disk_at_once(folder: RunFolder) -> None:
    assert len(folder.metrics.read_text().splitlines()) == 4
    folder.append_metrics({"env_steps": 400})
    assert len(folder.metrics.read_text().splitlines()) == 5


def test_nan_and_infinity_stay_valid_json(folder: RunFolder) -> None:
    folder.append_metrics({"env_steps": 400, "train/loss": math.nan, "train/grad": -math.inf})

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    last = json.loads(folder.metrics.read_text().splitlines()[-1], parse_constant=no_constant)
    assert last == {"env_steps": 400, "train/loss": None, "train/grad": None}
    assert math.isnan(folder.read_metrics()[-1]["train/loss"])


def test_an_unfinished_last_line_is_passed_over(folder: RunFolder) -> None:
    with folder.metrics.open("a") as file:
        file.write('{"env_steps": 400, "train/lo')
    assert [row["env_steps"] for row in folder.read_metrics()] == [0, 100, 200, 300]


def test_a_broken_line_in_the_middle_is_named(folder: RunFolder) -> None:
    lines = folder.metrics.read_text().splitlines()
    folder.metrics.write_text("\n".join([lines[0], "garbage", *lines[1:]]) + "\n")
    with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl"):
        folder.read_metrics()


def test_truncation_keeps_the_rows_of_the_checkpoint_byte_for_byte(folder: RunFolder) -> None:
    before = folder.metrics.read_bytes().splitlines(keepends=True)
    with folder.metrics.open("a") as file:
        file.write('{"env_steps": 400, "train/lo')
    assert truncate_rows(folder.metrics, 3) == 1
    assert folder.metrics.read_bytes() == b"".join(before[:3])
    folder.append_metrics({"env_steps": 300})
    assert [row["env_steps"] for row in folder.read_metrics()] == [0, 100, 200, 300]


def test_truncation_to_nothing(folder: RunFolder) -> None:
    assert truncate_rows(folder.metrics, 0) == 4
    assert folder.metrics.read_bytes() == b""


@pytest.mark.parametrize("unfinished", ["", '{"env_steps": 400}'])
def test_fewer_rows_than_the_checkpoint_had_are_not_touched(unfinished: str, folder: RunFolder) -> None:
    """A row without its newline is none: what it would go on with is not known."""
    with folder.metrics.open("a") as file:
        file.write(unfinished)
    before = folder.metrics.read_bytes()
    with pytest.raises(
        UserError, match=r"metrics\.jsonl has 4 rows, and had 5 when the checkpoint was made\n  Restore it"
    ):
        truncate_rows(folder.metrics, 5)
    assert folder.metrics.read_bytes() == before


def test_rows_of_the_same_env_step_are_told_apart_by_their_number(folder: RunFolder) -> None:
    folder.append_metrics({"env_steps": 300, "eval/return_mean": 1.0})
    assert truncate_rows(folder.metrics, 4) == 1
    assert "eval/return_mean" not in folder.read_metrics()[-1]


def test_a_log_that_cannot_be_cut_back_stays_as_it_is(folder: RunFolder) -> None:
    lines = folder.metrics.read_text().splitlines()
    folder.metrics.write_text("\n".join([*lines[:3], "garbage", lines[3]]) + "\n")
    before = folder.metrics.read_bytes()
    with pytest.raises(UserError, match="line 4"):
        truncate_rows(folder.metrics, 2)
    assert folder.metrics.read_bytes() == before


def test_tables_have_a_log_of_their_own(tmp_path: Path) -> None:
    """Nested lists, with null for what is not finite; a resumed run drops those past its checkpoint."""
    folder = RunFolder(tmp_path / "run").create()
    assert folder.read_tables() == []
    folder.append_metrics({"env_steps": 100, "train/loss": 1.0})
    folder.append_tables({"env_steps": 100, "eval/table": [[1.0, math.nan], [3.0, math.inf]]})
    folder.append_tables({"env_steps": 200, "train/weights": [0.5, 0.5]})
    assert "NaN" not in folder.tables.read_text()
    first, second = folder.read_tables()
    assert first["eval/table"][1][0] == 3
    assert math.isnan(first["eval/table"][0][1])
    assert math.isnan(first["eval/table"][1][1])
    assert second == {"env_steps": 200, "train/weights": [0.5, 0.5]}
    folder.truncate_to_checkpoint(metrics=1, tables=1)
    assert [row["env_steps"] for row in folder.read_tables()] == [100]
    assert len(folder.read_metrics()) == 1
