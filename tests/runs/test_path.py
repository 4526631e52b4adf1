"""A run's folder as a value: made, parsed, and refused where a folder has another form."""

from pathlib import Path

import pytest

from marlpipe.runs.path import RunPath, short_name

PATH = RunPath(root=Path("multirun"), env="payoff", algo="ow_qmix-2", arm="0a1b2c3d", seed=7)


def test_a_path_and_its_parts() -> None:
    assert PATH.name == "payoff/ow_qmix-2-0a1b2c3d/seed=7"
    assert PATH.folder == Path("multirun/payoff/ow_qmix-2-0a1b2c3d/seed=7")
    assert RunPath.parse(PATH.folder) == PATH
    assert PATH.sibling(8).folder == PATH.folder.with_name("seed=8")


@pytest.mark.parametrize(
    "folder",
    ["", "/", "seed=7", "/a/qmix-0a1b", "a/qmix/seed=7", "a/qmix-XYZ/seed=7", "a/qmix-0a/seed=x", "a/-0a/seed=1"],
)
def test_folders_of_another_form(folder: str) -> None:
    assert RunPath.parse(Path(folder)) is None


def test_the_short_name_has_no_root() -> None:
    assert short_name(Path("/multirun/payoff/qmix-0a1b/seed=7")) == "payoff/qmix-0a1b/seed=7"
    assert short_name(Path("/seed=7")) == "seed=7"
