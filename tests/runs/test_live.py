"""The display of a running grid: a table on a terminal, lines elsewhere."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from marlpipe.runs import files
from marlpipe.runs import folder as run_folder
from marlpipe.runs.display import duration
from marlpipe.runs.files import write_json, write_text
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.live import CachedFile, GridDisplay


@pytest.fixture
def folders(tmp_path: Path) -> list[RunFolder]:
    made = [RunFolder(tmp_path / "cartpole" / "qmix-1a2b" / f"seed={seed}").create() for seed in range(3)]
    for folder in made:
        folder.update_status(state="queued")
    return made


def printing(*, terminal: bool, height: int = 40) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120, height=height, color_system=None), out


def test_a_terminal_shows_how_far_each_run_is(folders: list[RunFolder]) -> None:
    write_json(folders[0].run, {"label": "qmix-wide", "seed": 7, "choices": {"env": "navigation", "algo": "qmix"}})
    console, out = printing(terminal=True)
    with GridDisplay(folders=folders, console=console) as display:
        folders[0].update_status(
            state="running", env_steps=2500, total_env_steps=10_000, env_steps_per_s=50.0, eval_return=12.5, eta_s=150
        )
        display.refresh()
    lines = out.getvalue().splitlines()
    line = next(line for line in lines if "navigation qmix-wide" in line)
    for part in ("7", "running", "2,500/10,000", "25 %", "50", "12.5", "2 min 30 s"):
        assert part in line
    assert any("cartpole qmix" in line and "queued" in line for line in lines)
    assert "3 runs: 2 queued, 1 running; 50 env steps/s, about 9 min 10 s left" in out.getvalue()


def test_a_short_terminal_keeps_what_matters(folders: list[RunFolder]) -> None:
    folders[0].update_status(state="finished")
    folders[2].update_status(state="running")
    console, out = printing(terminal=True, height=5)
    with GridDisplay(folders=folders, console=console):
        pass
    shown = {line for line in out.getvalue().splitlines() if "cartpole" in line}
    assert len(shown) == 1
    assert "running" in shown.pop()
    assert "3 runs: 1 queued, 1 running, 1 finished" in out.getvalue()


def test_without_a_terminal_one_line_per_event(folders: list[RunFolder]) -> None:
    console, out = printing(terminal=False)
    with GridDisplay(folders=folders, console=console) as display:
        display.refresh()
        assert out.getvalue() == ""
        folders[0].update_status(state="running")
        folders[1].update_status(state="failed", reason="ValueError: bad\nand more")
        display.refresh()
        display.refresh()
        folders[0].update_status(state="finished", wall_s=3725, eval_return=-3.25)
    told = out.getvalue().splitlines()
    assert told == [
        "cartpole qmix seed=0: running",
        f"cartpole qmix seed=1: failed: ValueError: bad (see {folders[1].console})",
        "cartpole qmix seed=0: finished after 1 h 02 min, last evaluation return -3.25",
        "3 runs: 1 queued, 1 finished, 1 failed",
    ]


def test_without_a_terminal_a_summary_now_and_then(folders: list[RunFolder]) -> None:
    console, out = printing(terminal=False)
    with GridDisplay(folders=folders, console=console, summary_every_s=0.0) as display:
        display.refresh()
    assert out.getvalue().count("3 runs: 3 queued") == 3  # once per refresh, of which one at the end, and the last word


def test_only_files_that_changed_are_read_again(folders: list[RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    before = files.read_json
    monkeypatch.setattr(run_folder, "read_json", lambda path: (read.append(path), before(path))[1])
    with GridDisplay(folders=folders, console=printing(terminal=False)[0]) as display:
        assert len(read) == 3
        display.refresh()
        assert len(read) == 3
        folders[1].update_status(state="running")
        read.clear()
        display.refresh()
        assert read == [folders[1].status_file]


def test_a_file_is_read_again_when_it_appears_and_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "told"
    told = CachedFile(file, lambda: file.read_text() if file.exists() else "nothing")
    assert told() == "nothing"
    for text in ("one", "two", "six"):
        write_text(file, text)
        assert told() == text
    file.unlink()
    assert told() == "nothing"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (float("inf"), "–"),
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3725, "1 h 02 min"),
        (90_000, "1 d 01 h"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said
