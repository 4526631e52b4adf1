"""W&B's log, written and read here; that W&B writes and reads the same is seen in test_wandb.py and tests/sync."""

import zlib
from pathlib import Path
from random import Random

from marlpipe.wandb.log import BLOCK, CHUNK, FULL, START, LogReader, history, write_log
from marlpipe.wandb.private_api import Record

SIZES = (0, 10, BLOCK - 40, 3 * BLOCK, 5, 100, 2 * BLOCK - 7, *range(60, 120, 3))


def made(file: Path) -> list[Record]:
    """A log with records of many lengths, and what is in it."""
    letters = Random(0)
    texts = ["".join(letters.choices("abcdefgh", k=size)) for size in SIZES]
    records = [Record(num=number, run={"notes": text}) for number, text in enumerate(texts)]
    write_log(file, records)
    return records


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert made(tmp_path / "log") == list(LogReader(tmp_path / "log"))


def test_a_log_that_is_cut_off_anywhere_holds_the_records_before(tmp_path: Path) -> None:
    records = made(tmp_path / "log")
    whole = (tmp_path / "log").read_bytes()
    before = 0
    for end in [*range(0, 200), *range(200, len(whole), 997)]:
        (tmp_path / "cut").write_bytes(whole[:end])
        reader = LogReader(tmp_path / "cut")
        found = list(reader)
        assert reader.damaged == 0
        assert found == records[: len(found)]
        assert len(found) >= before
        before = len(found)
    assert before >= len(records) - 12


def test_a_damaged_block_costs_its_own_records_only(tmp_path: Path) -> None:
    records = [Record(num=number, run={"notes": "x" * 1000}) for number in range(1, 200)]
    write_log(tmp_path / "log", records)
    damaged = bytearray((tmp_path / "log").read_bytes())
    damaged[2 * BLOCK + 500] ^= 1
    (tmp_path / "log").write_bytes(damaged)
    reader = LogReader(tmp_path / "log")
    found = [record.num for record in reader]
    assert reader.damaged == 1
    assert set(found) < set(range(1, 200))
    assert len(found) >= 199 - BLOCK // 1000 - 2
    assert found[0] == 1
    assert found[-1] == 199
    assert all(record == records[record.num - 1] for record in LogReader(tmp_path / "log"))


def test_a_record_that_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    part = b"\xff\xff"
    chunk = CHUNK.pack(zlib.crc32(part, zlib.crc32(bytes([FULL]))), len(part), FULL) + part
    (tmp_path / "log").write_bytes(START + chunk)
    reader = LogReader(tmp_path / "log")
    assert list(reader) == []
    assert reader.damaged == 1


def test_what_is_no_log_holds_nothing(tmp_path: Path) -> None:
    for content in (b"", b":W&B\xe1\xbe\x00", b"a text that is no log", bytes(100_000), Random(0).randbytes(100_000)):
        (tmp_path / "log").write_bytes(content)
        assert list(LogReader(tmp_path / "log")) == []


def test_rows_have_their_names(tmp_path: Path) -> None:
    items = [{"nested_key": ["a", "b"], "value_json": "1"}, {"key": "c", "value_json": '"d"'}]
    (tmp_path / "offline-run-1").mkdir()
    write_log(tmp_path / "offline-run-1" / "run.wandb", [Record(history={"item": items}), Record(exit={})])
    assert history(tmp_path) == [{"a.b": 1, "c": "d"}]
