"""A grid that is recorded offline, as W&B's own reader shows it."""

import json
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from marlpipe.config.folder import config_folder
from marlpipe.config.plan import planned_folders
from marlpipe.runs.folder import RunFolder
from tests.commands.terminal import SHORT, run, start
from tests.support.waiting import wait_until

GRID = (
    *("algo=qmix,vdn", "seed=0", "logger=wandb", "logger.mode=offline", "logger.tags=[study]"),
    *("env_steps=1000", "evaluation.every_env_steps=200", "record_every_env_steps=100"),
)


@cache
def inspected(fragment: Path, *options: str) -> str:
    """What `wandb leet inspect` says of one of a run's W&B folders."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(fragment)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def of_kind(fragment: Path, kind: str) -> list[dict[str, Any]]:
    records = map(json.loads, inspected(fragment).splitlines())
    return [record[kind] for record in records if record["type"] == kind]


def history(fragment: Path) -> list[dict[str, Any]]:
    """The logged rows."""
    return [row["item"] for row in of_kind(fragment, "history")]


def fragments(folder: RunFolder) -> list[Path]:
    return sorted(folder.wandb.glob("offline-run-*"))


def told(folder: RunFolder) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(inspected(fragments(folder)[-1], "--summary"))
    return summary


@pytest.mark.slow
def test_a_grid_that_was_killed_and_resumed(tmp_path: Path) -> None:
    planned = planned_folders([*SHORT, *GRID], config_folder(), sweep=True)
    folders = [RunFolder(tmp_path / path) for path in planned]
    killed, failing = folders[0], folders[-1]
    (failing.create().best_policy / "in the way").mkdir(parents=True)
    process = start(tmp_path, *GRID, "paths.runs=multirun", grid=True)
    wait_until(lambda: len(killed.read_metrics()) > 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert killed.status.state == "running"
    code, out, err = run(tmp_path, *GRID, "paths.runs=multirun", grid=True)
    assert code == 1, out + err
    assert "final return" in out

    for folder in folders:
        run_json = json.loads(folder.run.read_text())
        choices = run_json["choices"]
        summary = told(folder)
        assert summary["name"] == f"{run_json['label']} cartpole seed {run_json['seed']}"
        assert (summary["project"], summary["tags"]) == ("marlpipe", ["study"])
        group = ("algo", "env", "partition", "monotonicity", "profile")
        expected = {**{key: choices[key] for key in group}, **{key: run_json[key] for key in ("seed", "arm", "label")}}
        assert summary["config"].items() >= expected.items()
        assert summary["config"]["config"]["env_steps"] == 1000
        for fragment in fragments(folder):
            found = of_kind(fragment, "run")
            if fragment != fragments(folder)[-1] and not found:  # killed before it could say so
                continue
            assert [(one["run_group"], one["job_type"]) for one in found] == [
                ("-".join([*(choices[key] for key in group), run_json["arm"]]), "train")
            ]
            assert {one["run_id"] for one in found} == {folder.wandb_id.read_text().strip()}
        stepped = {
            one.get("glob_name") or one.get("name"): one.get("step_metric") for one in of_kind(fragment, "metric")
        }
        assert {name: over for name, over in stepped.items() if over} == {
            f"{prefix}/*": "env_steps" for prefix in ("train", "eval", "rollout", "time", "pictures")
        }

    for folder in folders[:-1]:
        summary, rows = told(folder), folder.read_metrics()
        assert (summary["state"], summary["exit_code"]) == ("finished", 0)
        assert summary["summary"]["final/return"] == pytest.approx(rows[-1]["eval/return_mean"])
        assert summary["summary"]["best/return"] == max(row.get("eval/return_mean", 0) for row in rows)
        logged = history(fragments(folder)[-1])
        assert [row["_step"] for row in logged] == list(range(len(rows)))
        assert [{name: row[name] for name in own} for row, own in zip(logged, rows, strict=True)] == rows
    assert len(fragments(killed)) == 2

    assert failing.status.state == "failed"
    assert (told(failing)["state"], told(failing)["exit_code"]) == ("failed", 1)
