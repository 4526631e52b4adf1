"""From which checkpoint a run goes on, and whether it may."""

import pickle
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

import marlpipe
from marlpipe.diff_config.comparison import differences
from marlpipe.errors import UserError
from marlpipe.naming import arm_hash, defining_config
from marlpipe.records.files import explained, read_json
from marlpipe.records.folder import RunFolder
from marlpipe.stored_config import read_config

FORMAT = 2  # of checkpoints; another number means that they cannot be read
MOST_TOLD = 6  # keys in a message


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint, and how many rows the run's logs had when it was made."""

    path: Path
    rows: dict[str, int]


def origin(config: DictConfig) -> dict[str, Any]:
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
                return opened(path, origin(config))
            aside = path.with_suffix(path.suffix + ".damaged")
            with explained("put aside", path):
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
    with explained("read", path), path.open("rb") as file:
        beginning = file.read(4)
        if beginning.strip(b"\0") and not b"PK\3\4".startswith(beginning):
            raise UserError(
                f"{path} is no checkpoint: nothing of it was read or executed\n"
                "  Move it away; the same command then trains the run anew."
            )
        try:
            with zipfile.ZipFile(file) as archive:
                wrong = archive.testzip()
        except (zipfile.BadZipFile, EOFError) as error:
            return str(error).lower() or "it is cut off"
    return None if wrong is None else f"the checksum of {wrong} is wrong"


def opened(path: Path, expected: dict[str, Any]) -> Checkpoint:
    """What the checkpoint says of itself, as `origin` gives it, and of the logs."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise UserError(
            f"{path} holds something else than tensors and numbers, and nothing of it was executed\n"
            "  Move it away; the same command then trains the run anew."
        ) from error
    told = stored.get("origin", {}) if isinstance(stored, dict) else {}
    made_by = f"marlpipe {told.get('marlpipe', 'of an earlier version')}"
    if told.get("format") != FORMAT:
        raise UserError(
            f"{path} was made by {made_by}, and this is {marlpipe.__version__}, which cannot go on from it\n"
            "  Finish the run with the code that began it, which run.json names; or move the folder away to train anew."
        )
    if {key: told.get(key) for key in ("arm", "seed")} != {key: expected[key] for key in ("arm", "seed")}:
        raise UserError(
            f"{path} belongs to another run: arm {told.get('arm')}, seed {told.get('seed')} instead of "
            f"arm {expected['arm']}, seed {expected['seed']}\n  Move it away, or choose another folder."
        )
    return Checkpoint(path=path, rows=stored["callbacks"]["Recorder"]["rows"])


def check_same_run(folder: RunFolder, config: DictConfig) -> None:
    """UserError if the folder holds a run of another config or seed, with what differs."""
    told = read_json(folder.run)
    if told is None or (told.get("arm"), told.get("seed")) == (arm_hash(config), config.seed):
        return
    there: Any = OmegaConf.to_container(read_config(folder)) if folder.config.exists() else {}
    ours = defining_config(config) | {"seed": config.seed}
    known = {key: there[key] for key in ours if key in there}
    found = [f"    {'.'.join(path)}: {a} there, {b} here" for path, a, b in differences(known, ours)]
    more = [f"    … and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
    raise UserError(
        "\n".join([f"{folder.path} holds another run, and is left as it is:", *found[:MOST_TOLD], *more])
        + "\n  Leave hydra.run.dir alone, so that each config gets a folder of its own, or choose one that is empty."
    )
