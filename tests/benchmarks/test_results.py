"""Files of results, and the one that `make bench-check` compares with."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import check
from benchmarks.results import Results, last_committed, read
from marlpipe.errors import UserError
from tests.benchmarks.measured import results


def test_a_file_holds_all_of_the_results(tmp_path: Path) -> None:
    made = results([3.0, 3.5, 2.5])
    made.write(tmp_path / "new" / "bench.json")
    found = read(tmp_path / "new" / "bench.json")
    assert found == made
    assert found.sections["updates"].ratios("update", "floor") == [1.5, 1.75, 1.25]


def test_costs_are_compared_per_amount() -> None:
    made = results([3.0, 3.0, 3.0], amount=2.0)
    assert made.sections["updates"].series["update"].per_amount == [1.5] * 3


@pytest.mark.parametrize("text", ["{}", "[]", '{"threads": 1, "machine": {}, "sections": {"acting": {"no": 1}}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UserError, match="make bench"):
        read(tmp_path / "other.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read(tmp_path / "none.json")


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_newest_committed_file_of_as_many_threads_is_found(tmp_path: Path) -> None:
    assert last_committed(1, tmp_path) is None
    git(tmp_path, "init")
    assert last_committed(1, tmp_path) is None
    inside = tmp_path / "results"
    inside.mkdir()
    for name in ("20260101-000000-threads1", "20260201-000000-threads1", "20260301-000000-threads2"):
        (inside / f"bench-{name}.json").write_text("{}")
    (inside / "core-20270101-000000-threads1.json").write_text("{}")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message", "results")
    (inside / "bench-20270101-000000-threads1.json").write_text("{}")
    assert last_committed(1, inside) == inside / "bench-20260201-000000-threads1.json"
    assert last_committed(2, inside) == inside / "bench-20260301-000000-threads2.json"
    assert last_committed(3, inside) is None


class Checked:
    """`python -m benchmarks.check FILE` with one committed file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys

    def __call__(self, before: Results | None, now: Results) -> tuple[int, str]:
        committed = self.folder / "before.json" if before else None
        if before and committed:
            before.write(committed)
        now.write(self.folder / "now.json")
        self.monkeypatch.setattr(check, "last_committed", lambda threads: committed if threads == 1 else None)
        status = check.run([str(self.folder / "now.json")])
        return status, " ".join(self.capsys.readouterr().out.split())


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(tmp_path, monkeypatch, capsys)


def test_the_check_fails_on_what_got_slower_and_lists_it(checked: Checked) -> None:
    status, printed = checked(results([3.0] * 4), results([4.0] * 4))
    assert status == 1
    assert "slower" in printed
    assert "update floor 1.5 2 +33%" in printed


@pytest.mark.parametrize("cost", [3.0, 2.0])
def test_the_check_passes_what_is_the_same_or_faster(checked: Checked, cost: float) -> None:
    status, printed = checked(results([3.0] * 4), results([cost] * 4))
    assert status == 0
    assert "0 slower" in printed


def test_without_committed_results_there_is_a_next_step(checked: Checked) -> None:
    status, printed = checked(None, results([3.0] * 4))
    assert status == 0
    assert "make bench" in printed


def test_another_machine_is_not_compared_with(checked: Checked) -> None:
    before = results([3.0] * 4)
    other = Results(1, {**before.machine, "hardware": {"cpu": "another", "cores": 2, "gpus": []}}, before.sections)
    status, printed = checked(other, results([9.0] * 4))
    assert status == 0
    assert "another machine (cpu another, now a processor)" in printed
