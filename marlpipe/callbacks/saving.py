"""Files of tensors that are whole or absent, and that a power loss does not undo."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from marlpipe.records.files import replacing, settle


def save(value: Any, path: Path, *, previous: Path | None = None) -> None:
    """`torch.save` in place of an older file. UserError where the disk refuses, and the older file stays.

    previous: where the older file goes, instead of nowhere.
    """
    partial = path.with_suffix(".partial")
    with replacing(path, partial):
        with partial.open("wb") as file:
            try:
                torch.save(value, file)
            except RuntimeError as error:  # torch's way to tell that a write did not get through
                if isinstance(error.__context__, OSError | KeyboardInterrupt):
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
    settle(path.parent)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes to the run's own disk; Lightning would go through a copy in memory and one in the temporary folder.

    Reads through a map of the file, which needs no memory of its own for a replay that is about to be copied.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        del storage_options
        save(checkpoint, Path(path), previous=Path(path).with_name("previous.ckpt"))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        del map_location, weights_only
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return checkpoint
