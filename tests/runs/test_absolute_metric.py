"""The absolute metric on the disk: there, not there, or broken with a reason."""

from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.runs.absolute_metric import Absolute, absolute_file, read_absolute, write_absolute
from marlpipe.runs.files import write_text
from marlpipe.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "evaluation").mkdir()
    return RunFolder(tmp_path)


def test_it_comes_back(folder: RunFolder) -> None:
    measured = Absolute(returns=[1.0, 2.5], best_return=3.0, seed=7)
    write_absolute(folder, measured)
    assert read_absolute(folder) == measured
    assert measured.mean == 1.75


@pytest.mark.parametrize("text", [None, ""])  # a power loss can leave an empty file
def test_not_measured(folder: RunFolder, text: str | None) -> None:
    if text is not None:
        write_text(absolute_file(folder), text)
    assert read_absolute(folder) is None


@pytest.mark.parametrize(
    "text",
    [
        *("nonsense", "[]", "{}", '{"returns": [], "best_return": 1.0, "seed": 0}'),
        '{"returns": ["x"], "best_return": 1.0, "seed": 0}',
        '{"returns": [NaN], "best_return": 1.0, "seed": 0}',
        '{"returns": [1.0], "best_return": "high", "seed": 0}',
    ],
)
def test_a_broken_file_is_not_taken_for_an_unmeasured_policy(folder: RunFolder, text: str) -> None:
    write_text(absolute_file(folder), text)
    with pytest.raises(UserError, match=r"absolute\.json (is not valid JSON|does not hold an absolute metric)"):
        read_absolute(folder)
