"""W&B's log, written and read here; that W&B writes and reads the same is seen in test_wandb.py and tests/sync."""

from pathlib import Path
from random import Random

from wandb.proto.wandb_internal_pb2 import Record

from marlpipe.wandb.log import BLOCK, history, read_log, write_log

SIZES = (0, 10, BLOCK - 40, 3 * BLOCK, 5, 100, 2 * BLOCK - 7, *range(60, 120, 3))


def made(file: Path) -> list[Record]:
    """A log with records of many lengths, and what is in it."""
    letters = Random(0)
    texts = ["".join(letters.choices("abcdefgh", k=size)) for size in SIZES]
    records = [Record(num=number, run={"notes": text}) for number, text in enumerate(texts)]
    write_log(file, records)
    return records


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert made(tmp_path / "log") == list(read_log(tmp_path / "log"))


def test_a_log_that_is_cut_off_anywhere_holds_the_records_before(tmp_path: Path) -> None:
    records = made(tmp_path / "log")
    whole = (tmp_path / "log").read_bytes()
    before = 0
    for end in [*range(0, 200), *range(200, len(whole), 997)]:
        (tmp_path / "cut").write_bytes(whole[:end])
        found = list(read_log(tmp_path / "cut"))
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
    found = [record.num for record in read_log(tmp_path / "log")]
    assert set(found) < set(range(1, 200))
    assert len(found) >= 199 - BLOCK // 1000 - 2
    assert found[0] == 1
    assert found[-1] == 199
    assert all(record == records[record.num - 1] for record in read_log(tmp_path / "log"))


def test_what_is_no_log_holds_nothing(tmp_path: Path) -> None:
    for content in (b"", b":W&B\xe1\xbe\x00", b"a text that is no log", bytes(100_000), Random(0).randbytes(100_000)):
        (tmp_path / "log").write_bytes(content)
        assert list(read_log(tmp_path / "log")) == []


def test_rows_have_their_names(tmp_path: Path) -> None:
    items = [{"nested_key": ["a", "b"], "value_json": "1"}, {"key": "c", "value_json": '"d"'}]
    (tmp_path / "offline-run-1").mkdir()
    write_log(tmp_path / "offline-run-1" / "run.wandb", [Record(history={"item": items}), Record(exit={})])
    assert history(tmp_path) == [{"a.b": 1, "c": "d"}]
