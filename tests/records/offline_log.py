"""Reads W&B's offline file: protobuf records in chunks with a 7-byte header, in blocks of 32 KiB, as LevelDB's log."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER = 7
BLOCK = 32 * 1024


def records(folder: Path, fragment: str = "offline-run-*") -> list[Record]:
    """All whole records below a W&B folder, fragment after fragment."""
    return [record for file in sorted(folder.glob(f"{fragment}/*.wandb")) for record in _records(file.read_bytes())]


def history(folder: Path, fragment: str = "offline-run-*") -> list[dict[str, Any]]:
    """The logged rows."""
    return [
        {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
        for record in records(folder, fragment)
        if record.WhichOneof("record_type") == "history"
    ]


def _records(data: bytes) -> Iterator[Record]:
    at, collected = HEADER, b""  # the file begins with a header of the same length
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        collected += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a full record, or the last part of one
            yield Record.FromString(collected)
            collected = b""
