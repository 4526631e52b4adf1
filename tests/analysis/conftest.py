"""Run folders as a training would leave them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from marlpipe.analysis.evaluated_runs import Run, load_run
from marlpipe.runs.files import write_json
from marlpipe.runs.folder import RunFolder

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run folder and reads it back; `returns` are evaluated every 100 env steps from 0."""

    def make(
        label: str = "qmix",
        seed: int = 0,
        returns: Sequence[float] = (0.0, 1.0, 2.0),
        *,
        env: str = "cartpole",
        arm: str = "",
        overrides: Sequence[str] = (),
        **status: Any,
    ) -> Run:
        arm = arm or f"hash{label}"
        folder = RunFolder(tmp_path / "multirun" / env / f"{label}-{arm}" / f"seed={seed}").create()
        write_json(
            folder.run,
            {
                "label": label,
                "seed": seed,
                "arm": arm,
                "choices": {"env": env, "algo": label},
                "overrides": [f"algo={label}", *overrides, f"seed={seed}"],
            },
        )
        for number, value in enumerate(returns):
            folder.append_metrics({"env_steps": 100 * number, "train/loss": 1.0})
            folder.append_metrics({"env_steps": 100 * number, "eval/return_mean": value})
        folder.update_status(**{"state": "finished", **status})
        return load_run(folder.path)

    return make
