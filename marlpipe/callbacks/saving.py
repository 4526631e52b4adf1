"""Files of tensors that are either whole or absent."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from marlpipe.records.files import replacing


def save(value: Any, path: Path) -> None:
    """`torch.save` in place of an older file. UserError where the disk refuses, and the older file stays."""
    partial = path.with_suffix(".partial")
    with replacing(path, partial), partial.open("wb") as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:  # torch's way to tell that a write did not get through
            if isinstance(error.__context__, OSError | KeyboardInterrupt):
                raise error.__context__ from None
            raise


class WholeCheckpoints(TorchCheckpointIO):
    """Writes to the run's own disk; Lightning would go through a copy in memory and one in the temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        del storage_options
        save(checkpoint, Path(path))
