"""W&B's log of a run: protobuf records, in chunks with a header of 7 bytes, in blocks of 32 KiB, as LevelDB's log."""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

START = b":W&B\xe1\xbe\x00"  # a mark, a number, and the version of the format
CHUNK = struct.Struct("<IHB")  # CRC-32 of kind and data, length of the data, kind
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
LARGEST = 64 * 1024 * 1024  # bytes of one record; a damaged log may promise any number


def records(folder: Path, fragment: str = "offline-run-*") -> list[Record]:
    """All whole records below a W&B folder, fragment after fragment."""
    return [record for file in sorted(folder.glob(f"{fragment}/*.wandb")) for record in read_log(file)]


def history(folder: Path, fragment: str = "offline-run-*") -> list[dict[str, Any]]:
    """The logged rows."""
    return [row(record) for record in records(folder, fragment) if record.WhichOneof("record_type") == "history"]


def row(record: Record) -> dict[str, Any]:
    """What a record of the history holds; nested names are joined by dots."""
    return {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}


def read_log(file: Path) -> Iterator[Record]:
    """The whole records of one log, in order; none if it is no log. OSError where it cannot be read.

    A process that was killed leaves a log that ends anywhere; what is damaged before that is passed over, to the next
    block.
    """
    for data in _whole(file):
        try:
            yield Record.FromString(data)
        except DecodeError:
            continue


def write_log(file: Path, kept: Iterable[Record]) -> None:
    """Makes a log of some records. OSError where the disk refuses."""
    with file.open("wb") as to:
        to.write(START)
        at = len(START)
        for record in kept:
            data, first = record.SerializeToString(), True
            while True:
                left = BLOCK - at % BLOCK
                if left < CHUNK.size:
                    to.write(bytes(left))
                    at, left = at + left, BLOCK
                part, data = data[: left - CHUNK.size], data[left - CHUNK.size :]
                kind = (LAST if not first else FULL) if not data else (FIRST if first else MIDDLE)
                to.write(CHUNK.pack(_checksum(kind, part), len(part), kind) + part)
                at, first = at + CHUNK.size + len(part), False
                if not data:
                    break


def _whole(file: Path) -> Iterator[bytes]:
    """Records as they were written."""
    collected = b""
    for kind, part in _chunks(file):
        if kind in (MIDDLE, LAST) and not collected:  # its beginning was damaged
            continue
        collected = collected + part if kind in (MIDDLE, LAST) else part
        if kind in (FULL, LAST):
            yield collected
        if kind in (FULL, LAST) or len(collected) > LARGEST:
            collected = b""


def _chunks(file: Path) -> Iterator[tuple[int, bytes]]:
    """Chunks whose checksum is right; after one that is not, the rest of its block cannot be told apart."""
    with file.open("rb") as log:
        if log.read(len(START)) != START:
            return
        block, at = bytes(len(START)) + log.read(BLOCK - len(START)), len(START)
        while block:
            while at + CHUNK.size <= len(block):
                checksum, length, kind = CHUNK.unpack_from(block, at)
                part = block[at + CHUNK.size : at + CHUNK.size + length]
                if len(part) < length or checksum != _checksum(kind, part):
                    break
                yield kind, part
                at += CHUNK.size + length
            block, at = log.read(BLOCK), 0


def _checksum(kind: int, part: bytes) -> int:
    return zlib.crc32(part, zlib.crc32(bytes([kind])))
