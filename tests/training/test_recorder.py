"""Rows of metrics, their numbers, and what a sink is told of earlier sessions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from marlpipe.runs.folder import RunFolder
from marlpipe.training.callbacks.recorder import Recorder
from marlpipe.types import RunProgress, TrainingBatch
from tests.support.synthetic import make_spec, ragged_batch

BATCH = ragged_batch(make_spec(n_agents=2, horizon=3), lengths=[3], terminal=[True])
MODULE = LightningModule()


class Told:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def log(self, row: Mapping[str, Any], number: int) -> None:
        self.rows.append((number, dict(row)))


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(logger=False, accelerator="cpu", plugins=[LightningEnvironment()])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run").create()


def recorder(folder: RunFolder, *sinks: Told) -> Recorder:
    return Recorder(folder=folder, sinks=sinks, every_env_steps=10, total_env_steps=100)


def step(recorder: Recorder, trainer: Trainer, env_steps: int, **metrics: float | list[float]) -> None:
    batch = TrainingBatch(BATCH, RunProgress(env_steps, env_steps // 5, 0.1, 1.0, 2.0, 0, False))
    outputs = {"metrics": {name: torch.tensor(value) for name, value in metrics.items()}}
    recorder.on_train_batch_end(trainer, MODULE, outputs, batch, 0)


def evaluate(recorder: Recorder, trainer: Trainer, reached: float) -> None:
    metrics = {"eval/return_mean": torch.tensor(reached), "eval/histogram": torch.ones(2)}
    recorder.on_validation_batch_end(trainer, MODULE, metrics, None, 0)


def test_rows_are_numbered_as_they_stand_in_the_log(folder: RunFolder, trainer: Trainer) -> None:
    one, other = Told(), Told()
    recording = recorder(folder, one, other)
    recording.on_train_start(trainer, MODULE)
    assert one.rows == []
    for env_steps in (5, 7, 9, 12, 18, 20):
        step(recording, trainer, env_steps, loss=float(env_steps))
    evaluate(recording, trainer, 4.0)
    assert [number for number, _ in one.rows] == [0, 1, 2, 3]
    assert [row["env_steps"] for _, row in one.rows] == [5, 12, 20, 20]
    assert [row for _, row in one.rows] == folder.read_metrics()
    assert other.rows == one.rows
    assert folder.rows() == {"metrics": 4, "tables": 1}
    assert len(folder.read_tables()) == 1


def test_values_are_means_over_the_batches_that_have_them(folder: RunFolder, trainer: Trainer) -> None:
    recording = recorder(folder)
    step(recording, trainer, 0, loss=9.0)
    step(recording, trainer, 3, loss=1.0)
    step(recording, trainer, 6, loss=2.0, rare=8.0)
    step(recording, trainer, 12, loss=6.0, weights=[1.0, 2.0])
    row = folder.read_metrics()[1]
    assert (row["train/loss"], row["train/rare"]) == (3.0, 8.0)
    assert folder.read_tables() == [{"env_steps": 12, "train/weights": [1.0, 2.0]}]


def test_a_resumed_one_tells_all_rows_again_and_counts_on(folder: RunFolder, trainer: Trainer) -> None:
    first, second = Told(), Told()
    recording = recorder(folder, first)
    recording.on_train_start(trainer, MODULE)
    step(recording, trainer, 10, loss=1.0)
    evaluate(recording, trainer, 4.0)
    step(recording, trainer, 15, loss=5.0)
    checkpoint, rows = recording.state_dict(), folder.rows()
    step(recording, trainer, 20, loss=3.0)
    evaluate(recording, trainer, 9.0)  # past the checkpoint, lost

    folder.truncate_to_checkpoint(**rows)
    resumed = recorder(folder, second)
    resumed.load_state_dict(checkpoint)
    resumed.on_train_start(trainer, MODULE)
    assert [number for number, _ in second.rows] == [0, 1]
    assert [row for _, row in second.rows] == [row for _, row in first.rows[:2]]
    step(resumed, trainer, 20, loss=3.0)
    evaluate(resumed, trainer, 9.0)
    assert [number for number, _ in second.rows] == [0, 1, 2, 3]
    assert len(folder.read_metrics()) == 4
    for (_, row), (_, other) in zip(first.rows, second.rows, strict=True):
        assert row.keys() == other.keys()
        assert all(row[name] == other[name] for name in row if name not in ("wall_s", "time/env_steps_per_s"))
    assert second.rows[2][1]["train/loss"] == 4.0  # with the sum of before the checkpoint


def test_a_state_does_not_go_on_changing(folder: RunFolder, trainer: Trainer) -> None:
    recording = recorder(folder)
    step(recording, trainer, 0, loss=1.0)
    step(recording, trainer, 3, loss=1.0)
    state = recording.state_dict()
    step(recording, trainer, 6, loss=5.0)
    step(recording, trainer, 12, loss=5.0)
    assert (state["counts"], float(state["sums"]["loss"])) == ({"loss": 1}, 1.0)


def test_the_clock_goes_on_over_sessions(folder: RunFolder, trainer: Trainer) -> None:
    recording = recorder(folder)
    recording.load_state_dict({**recorder(folder).state_dict(), "wall_s": 100.0, "env_steps": 50})
    recording.on_train_start(trainer, MODULE)
    recording.started -= 5.0
    step(recording, trainer, 60, loss=1.0)
    row = folder.read_metrics()[0]
    assert row["wall_s"] == pytest.approx(105.0, abs=1.0)
    assert row["time/env_steps_per_s"] == pytest.approx(2.0, rel=0.2)
    assert folder.status.wall_s == pytest.approx(105.0, abs=1.0)
