"""On what, with what and of which code something was timed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marlpipe.records.files import explained, write_json
from marlpipe.records.provenance import git, hardware, versions

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Hardware, versions, commit and date; the host's name is nobody's business."""
    installed = versions()
    return {
        "hardware": {name: value for name, value in hardware().items() if name != "host"},
        "versions": {name: installed[name] for name in ("marlpipe", "torch", "numpy", "lightning")},
        "git": git(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def record(folder: Path, benchmark: str, figures: dict[str, Any], *, threads: int, load_before: float) -> Path:
    """Writes one JSON file, named after the benchmark, the time and the threads, and returns where."""
    with explained("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{benchmark}-{datetime.now(UTC):%Y%m%d-%H%M%S}-threads{threads}.json"
    write_json(file, {**figures, "threads": threads, "load_before": load_before, **machine()})
    return file
