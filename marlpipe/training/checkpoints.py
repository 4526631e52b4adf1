"""Checkpoint files: which one a run resumes from, whether it belongs to that run, and atomic writes."""

import errno
import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from omegaconf import DictConfig, OmegaConf

import marlpipe
from marlpipe.config.differences import differences, format_value, is_not_hashed
from marlpipe.config.moved import check_same_names
from marlpipe.config.stored import read_config
from marlpipe.errors import UserError
from marlpipe.runs.files import flush_to_disk, os_errors_as_user_errors, replacing
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import run_record
from marlpipe.runs.text import first_few

FORMAT = 3  # of checkpoints; a checkpoint with another number cannot be read
MOST_SHOWN = 6  # keys in a message
MOVE_AWAY = "Move it away; the same command then resumes from the checkpoint before it, or trains the run anew."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was checked, and the parts of its header that a resume needs before Lightning loads it."""

    path: Path
    env_steps: int
    rows: dict[str, int]  # of metrics and tables, as `RunFolder.rows`


def checkpoint_header(arm: str, seed: int) -> dict[str, Any]:
    """The part of a checkpoint's header that identifies the run and the code; checked before a resume."""
    return {"format": FORMAT, "marlpipe": marlpipe.__version__, "arm": arm, "seed": seed}


def newest_checkpoint(folder: RunFolder, header: dict[str, Any]) -> Checkpoint | None:
    """The last checkpoint, or the one before it where the last is damaged; None if there is none.

    A damaged file is renamed to end in `.damaged`, with a line on stderr.

    Args:
        folder: of the run.
        header: of the run, a `checkpoint_header`.

    Raises:
        UserError: a file is no checkpoint, was made by another version of marlpipe, or belongs to another run; or the
            disk refuses.
    """
    for path in (folder.last_checkpoint, folder.previous_checkpoint):
        if path.exists():
            damage = damage_of(path)
            if damage is None:
                return read_checkpoint(path, header)
            aside = path.with_suffix(path.suffix + ".damaged")
            with os_errors_as_user_errors("rename", path):
                path.replace(aside)
            older = folder.previous_checkpoint.exists()
            consequence = "resumes from the checkpoint before it" if older else "starts anew, with the same results"
            print(f"{path} is damaged ({damage}), kept as {aside.name}; the run {consequence}", file=sys.stderr)
    return None


def damage_of(path: Path) -> str | None:
    """What is wrong with a checkpoint file, by its checksums; None for an intact one. Nothing of it is executed.

    Raises:
        UserError: it never was a file of tensors, or the disk refuses.
    """
    with os_errors_as_user_errors("read", path), path.open("rb") as file:
        beginning = file.read(4)
        if beginning.strip(b"\0") and not b"PK\3\4".startswith(beginning):
            raise UserError(f"{path} is no checkpoint: nothing of it was read or executed\n  {MOVE_AWAY}")
        try:
            with zipfile.ZipFile(file) as archive:
                wrong = archive.testzip()
        except Exception as error:  # zipfile raises a dozen kinds for one wrong byte in its directory
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: a seek to before the beginning
                raise
            return str(error).lower() or "it is cut off"
    return None if wrong is None else f"the checksum of {wrong} is wrong"


def read_checkpoint(path: Path, expected: dict[str, Any]) -> Checkpoint:
    """The checkpoint, if its header has the format, arm and seed of `expected`, a `checkpoint_header`.

    Raises:
        UserError: the header is missing or says something else, or the disk refuses.
    """
    try:
        with os_errors_as_user_errors("read", path):
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except Exception as error:  # torch raises many kinds for a file that it did not write
        raise UserError(
            f"{path} holds something else than tensors and numbers, and nothing of it was executed\n  {MOVE_AWAY}"
        ) from error
    stored_header = stored.get("header") if isinstance(stored, dict) else None
    header = stored_header if isinstance(stored_header, dict) else {}
    if header.get("format") != FORMAT:
        made_by = f"marlpipe {header.get('marlpipe', 'of an earlier version')}"
        raise UserError(
            f"{path} was made by {made_by}, and this is {marlpipe.__version__}, which cannot resume from it\n"
            "  Finish the run with the code that began it, which run.json names; or move the folder away to train anew."
        )
    if {key: header.get(key) for key in ("arm", "seed")} != {key: expected[key] for key in ("arm", "seed")}:
        raise UserError(
            f"{path} belongs to another run: arm {header.get('arm')}, seed {header.get('seed')} instead of "
            f"arm {expected['arm']}, seed {expected['seed']}\n  {MOVE_AWAY}"
        )
    return Checkpoint(path=path, env_steps=header["env_steps"], rows=header["rows"])


def check_same_run(folder: RunFolder, config: DictConfig, arm: str) -> None:
    """UserError, with the keys that differ, if the folder holds a run of another config or seed.

    arm: the `arm_hash` of the config.
    """
    record = run_record(folder)
    if not record or (record.get("arm"), record.get("seed")) == (arm, config.seed):
        check_same_names(folder, config)
        return
    ours = OmegaConf.to_container(config, resolve=True)
    there = OmegaConf.to_container(read_config(folder)) if folder.config.exists() else ours
    found = [
        f"{'.'.join(path)}: {format_value(path[-1], a)} there, {format_value(path[-1], b)} here"
        for path, a, b in differences(there, ours)
        if path == ("seed",) or not is_not_hashed(path)
    ]
    shown = first_few(found, MOST_SHOWN, indent="    ")
    raise UserError(
        "\n".join([f"{folder.path} holds another run, and is left as it is:", *shown])
        + "\n  Move the folder away, or choose another root, paths.runs=FOLDER."
    )


def save(value: Any, path: Path, *, previous: Path | None = None) -> None:
    """`torch.save` as an atomic write: the file is complete or the older one stays.

    Args:
        value: anything that `torch.save` takes.
        path: of the file.
        previous: where the older file is kept; None to replace it.

    Raises:
        UserError: the disk refuses.
    """
    partial = path.with_suffix(".partial")
    with replacing(path, partial):
        with partial.open("wb") as file:
            try:
                torch.save(value, file)
            except RuntimeError as error:  # torch wraps the disk's error
                if isinstance(error.__context__, OSError | KeyboardInterrupt):
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
    flush_to_disk(path.parent)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes straight to the run's disk; Lightning would first copy to memory and to the temporary folder.

    Reads through a memory map, so that a replay, which is copied anyway, needs no memory twice.
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
