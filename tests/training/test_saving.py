"""Files of tensors are whole or absent; the one before a checkpoint is kept."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from marlpipe.errors import UserError
from marlpipe.training.checkpoints import WholeCheckpoints, save


def stored(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["number"])


def named(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    for number in (1, 2):
        save({"number": number}, tmp_path / "final.pt")
    assert stored(tmp_path / "final.pt") == 2
    assert named(tmp_path) == ["final.pt"]


def test_the_checkpoint_before_is_kept(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        WholeCheckpoints().save_checkpoint({"number": number}, tmp_path / "last.ckpt")
        assert stored(tmp_path / "last.ckpt") == number
        assert number == 1 or stored(tmp_path / "previous.ckpt") == number - 1
    assert named(tmp_path) == ["last.ckpt", "previous.ckpt"]


def failing(number: int) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fails


@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
def test_where_the_disk_refuses_both_older_ones_stay(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        WholeCheckpoints().save_checkpoint({"number": number}, tmp_path / "last.ckpt")
    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, failing(errno.ENOSPC))
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt: No space left on device\n  The disk is full"):
            WholeCheckpoints().save_checkpoint({"number": 3}, tmp_path / "last.ckpt")
    assert (stored(tmp_path / "last.ckpt"), stored(tmp_path / "previous.ckpt")) == (2, 1)
    assert named(tmp_path) == ["last.ckpt", "previous.ckpt"]


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)


def test_torch_tells_of_a_full_disk_in_the_way_that_is_expected() -> None:
    """It raises an error of its own, with the disk's behind it."""
    with pytest.raises((RuntimeError, OSError)) as told:
        torch.save({"x": torch.zeros(10**5)}, Full(10**4))  # type: ignore[arg-type] # all that it calls
    assert isinstance(told.value, OSError) or isinstance(told.value.__context__, OSError)


def test_what_cannot_be_stored_is_a_programmers_error(tmp_path: Path) -> None:
    save({"number": 1}, tmp_path / "final.pt")
    with pytest.raises((AttributeError, RuntimeError, TypeError)):
        save({"number": (number for number in range(3))}, tmp_path / "final.pt")
    assert stored(tmp_path / "final.pt") == 1


def test_the_file_and_then_its_folder_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes before the name, the name before `save` returns."""
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(file: Any) -> None:
        at = Path(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        happened.append(f"sync {at.name}")
        fsync(file)

    def renamed(self: Path, target: Path) -> Path:
        happened.append(f"{self.name} -> {target.name}")
        return replace(self, target)

    save({"number": 1}, tmp_path / "last.ckpt")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    save({"number": 2}, tmp_path / "last.ckpt", previous=tmp_path / "previous.ckpt")
    assert happened == [
        "sync last.partial",
        "last.ckpt -> previous.ckpt",
        "last.partial -> last.ckpt",
        f"sync {tmp_path.name}",
    ]


def test_a_checkpoint_is_read_through_a_map_of_the_file(tmp_path: Path) -> None:
    """What is loaded takes no memory of its own, and nothing of the file changes with it."""
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"number": torch.tensor(1), "x": torch.zeros(1000)}, path)
    before = path.read_bytes()
    loaded = WholeCheckpoints().load_checkpoint(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    loaded["x"].add_(1)
    assert path.read_bytes() == before


def test_a_checkpoint_with_code_in_it_is_not_loaded(tmp_path: Path) -> None:
    torch.save({"x": Path("here")}, tmp_path / "last.ckpt")
    with pytest.raises(Exception, match="Weights only load failed"):
        WholeCheckpoints().load_checkpoint(tmp_path / "last.ckpt", weights_only=False)
