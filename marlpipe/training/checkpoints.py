"""From which checkpoint a run goes on, and whether it may."""

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
from marlpipe.config.naming import arm_hash
from marlpipe.config.stored import read_config
from marlpipe.errors import UserError
from marlpipe.runs.files import flush_to_disk, os_errors_as_user_errors, replacing
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import run_record

FORMAT = 2  # of checkpoints; another number means that they cannot be read
MOST_TOLD = 6  # keys in a message
MOVE_AWAY = "Move it away; the same command then goes on from the checkpoint before it, or trains the run anew."


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint, how far the run was, and how many rows its logs had."""

    path: Path
    env_steps: int
    rows: dict[str, int]


def checkpoint_header(config: DictConfig) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    return {"format": FORMAT, "marlpipe": marlpipe.__version__, "arm": arm_hash(config), "seed": config.seed}


def newest_checkpoint(folder: RunFolder, config: DictConfig) -> Checkpoint | None:
    """The last checkpoint, or the one before it where that is damaged, which is told; None if there is none.

    A damaged file is put aside, with `.damaged` behind its name.

    Raises:
        UserError: a file is no checkpoint, was made by another version of marlpipe, or belongs to another run.
    """
    for path in (folder.last_checkpoint, folder.previous_checkpoint):
        if path.exists():
            damage = damage_of(path)
            if damage is None:
                return opened(path, checkpoint_header(config))
            aside = path.with_suffix(path.suffix + ".damaged")
            with os_errors_as_user_errors("put aside", path):
                path.replace(aside)
            older = folder.previous_checkpoint.exists()
            goes_on = "goes on from the checkpoint before it" if older else "starts anew, to the same results"
            print(f"{path} is damaged ({damage}), kept as {aside.name}; the run {goes_on}", file=sys.stderr)
    return None


def damage_of(path: Path) -> str | None:
    """What is wrong with a file of tensors that was whole once; None for a whole one. It is read, not interpreted.

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
        except Exception as error:  # a wrong byte in the list of contents is told in a dozen ways, one per field
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is a seek to before the beginning
                raise
            return str(error).lower() or "it is cut off"
    return None if wrong is None else f"the checksum of {wrong} is wrong"


def opened(path: Path, expected: dict[str, Any]) -> Checkpoint:
    """The checkpoint, if what it says of itself is what `origin` gives.

    Raises:
        UserError: it says something else, or nothing that can be understood.
    """
    try:
        with os_errors_as_user_errors("read", path):
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except Exception as error:  # what a file that we did not write makes the reader stumble over
        raise UserError(
            f"{path} holds something else than tensors and numbers, and nothing of it was executed\n  {MOVE_AWAY}"
        ) from error
    found = stored.get("origin") if isinstance(stored, dict) else None
    said = found if isinstance(found, dict) else {}
    made_by = f"marlpipe {said.get('marlpipe', 'of an earlier version')}"
    if said.get("format") != FORMAT:
        raise UserError(
            f"{path} was made by {made_by}, and this is {marlpipe.__version__}, which cannot go on from it\n"
            "  Finish the run with the code that began it, which run.json names; or move the folder away to train anew."
        )
    if {key: said.get(key) for key in ("arm", "seed")} != {key: expected[key] for key in ("arm", "seed")}:
        raise UserError(
            f"{path} belongs to another run: arm {said.get('arm')}, seed {said.get('seed')} instead of "
            f"arm {expected['arm']}, seed {expected['seed']}\n  {MOVE_AWAY}"
        )
    recorded = stored["callbacks"]["Recorder"]
    return Checkpoint(path=path, env_steps=recorded["env_steps"], rows=recorded["rows"])


def check_same_run(folder: RunFolder, config: DictConfig) -> None:
    """UserError if the folder holds a run of another config or seed, with what differs."""
    record = run_record(folder)
    if not record or (record.get("arm"), record.get("seed")) == (arm_hash(config), config.seed):
        check_same_names(folder, config)
        return
    ours = OmegaConf.to_container(config, resolve=True)
    there = OmegaConf.to_container(read_config(folder)) if folder.config.exists() else ours
    found = [
        f"    {'.'.join(path)}: {format_value(path[-1], a)} there, {format_value(path[-1], b)} here"
        for path, a, b in differences(there, ours)
        if path == ("seed",) or not is_not_hashed(path)
    ]
    more = [f"    … and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
    raise UserError(
        "\n".join([f"{folder.path} holds another run, and is left as it is:", *found[:MOST_TOLD], *more])
        + "\n  Leave hydra.run.dir alone, so that each config gets a folder of its own, or choose one that is empty."
    )


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
    flush_to_disk(path.parent)


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
