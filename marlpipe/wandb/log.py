"""W&B's log of a run: protobuf records, in chunks with a header of 7 bytes, in blocks of 32 KiB, as LevelDB's log."""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from marlpipe.wandb.private_api import Record

START = b":W&B\xe1\xbe\x00"  # a mark, a number, and the version of the format
CHUNK = struct.Struct("<IHB")  # CRC-32 of kind and data, length of the data, kind
BLOCK = 32 * 1024
LOST, FULL, FIRST, MIDDLE, LAST = range(5)  # kinds of chunks; LOST stands for the skipped rest of a block
LARGEST = 64 * 1024 * 1024  # bytes of one record; a damaged log may claim any length


class LogReader:
    """Iterates over the complete records of a log in order; a file that is no log has none.

    The log of a killed process may end anywhere, which is no damage. `damaged` counts the blocks and records that were
    skipped so far because they are damaged. Iterating raises OSError where the file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.damaged = file, 0

    def __iter__(self) -> Iterator[Record]:
        for data in self._complete():
            try:
                yield Record.FromString(data)
            except DecodeError:
                self.damaged += 1

    def _complete(self) -> Iterator[bytes]:
        """The bytes of each record whose chunks are all there."""
        collected = b""
        for kind, part in self._chunks():
            if kind in (MIDDLE, LAST) and not collected:  # its first chunk was damaged
                continue
            collected = collected + part if kind in (MIDDLE, LAST) else part
            if kind in (FULL, LAST):
                yield collected
            self.damaged += len(collected) > LARGEST
            if kind in (FULL, LAST, LOST) or len(collected) > LARGEST:
                collected = b""

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """Chunks with a correct checksum; LOST in place of an incorrect one and the rest of its block."""
        with self.file.open("rb") as log:
            if log.read(len(START)) != START:
                return
            block, at = bytes(len(START)) + log.read(BLOCK - len(START)), len(START)
            while block:
                while at + CHUNK.size <= len(block):
                    checksum, length, kind = CHUNK.unpack_from(block, at)
                    part = block[at + CHUNK.size : at + CHUNK.size + length]
                    if len(part) < length and len(block) < BLOCK:  # cut off in the last block
                        break
                    if len(part) < length or checksum != _checksum(kind, part):
                        self.damaged += 1
                        yield LOST, b""  # a record that began before must not end with a chunk of another one
                        break
                    yield kind, part
                    at += CHUNK.size + length
                block, at = log.read(BLOCK), 0


def records(folder: Path, session: str = "offline-run-*") -> list[Record]:
    """All complete records of the sessions in a W&B folder, session by session."""
    return [record for file in sorted(folder.glob(f"{session}/*.wandb")) for record in LogReader(file)]


def history(folder: Path, session: str = "offline-run-*") -> list[dict[str, Any]]:
    """The logged rows of the sessions in a W&B folder."""
    return [row(record) for record in records(folder, session) if record.WhichOneof("record_type") == "history"]


def row(record: Record) -> dict[str, Any]:
    """The values of a history record by name; nested names are joined by dots."""
    return {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}


def write_log(file: Path, kept: Iterable[Record]) -> None:
    """Writes a log of some records. OSError where the disk refuses."""
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


def _checksum(kind: int, part: bytes) -> int:
    return zlib.crc32(part, zlib.crc32(bytes([kind])))
