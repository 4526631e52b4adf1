"""The declarations of sections; nothing is timed here."""

import pytest
import torch

from benchmarks.measurement import Measurement, Section, measured, timed
from benchmarks.sections import updates
from benchmarks.sections.training import seconds_per_env_step
from benchmarks.sections.unequal import cut, lengths
from benchmarks.suite import SECTIONS
from benchmarks.tables import cost
from marlpipe.config.folder import config_folder
from marlpipe.types import EpisodeBatch


def test_every_algorithm_is_in_the_update_section() -> None:
    algorithms = {file.stem for file in (config_folder() / "algo").glob("*.yaml")}
    assert algorithms <= set(updates.section().measurements)


@pytest.mark.parametrize("name", SECTIONS)
def test_references_are_measured_in_the_same_rounds(name: str) -> None:
    section = SECTIONS[name]()
    for key, measurement in section.measurements.items():
        for other in measurement.beside.values():
            assert other in section.measurements
            assert other != key


@pytest.mark.parametrize("name", SECTIONS)
def test_there_are_enough_repetitions_to_compare(name: str) -> None:
    assert SECTIONS[name]().rounds >= 3


def test_every_measurement_is_taken_once_per_round_and_the_warm_up_is_not_counted() -> None:
    order: list[str] = []

    def once(name: str) -> float:
        order.append(name)
        return float(len(order))

    declared = {name: Measurement(lambda name=name: once(name)) for name in ("a", "b")}  # type: ignore[misc]
    outcome = measured(Section("", declared, rounds=9), 2)
    assert order == ["a", "b"] * 3
    assert outcome.series["a"].costs == [3.0, 5.0]
    order.clear()
    cold = measured(Section("", declared, rounds=9, warm_up=False), 1)
    assert cold.series["b"].costs == [2.0]


def test_work_is_prepared_once_and_when_needed() -> None:
    calls: list[str] = []

    def prepare() -> object:
        calls.append("prepared")
        return lambda: calls.append("worked")

    once = timed(prepare)  # type: ignore[arg-type]
    assert calls == []
    assert once() >= 0
    once()
    assert calls == ["prepared", "worked", "worked"]


def test_training_is_timed_from_the_first_evaluation_to_the_last_update() -> None:
    rows = [
        {"env_steps": 100.0, "wall_s": 10.0, "rollout/return": 1.0},
        {"env_steps": 100.0, "wall_s": 12.0, "eval/return_mean": 1.0},
        {"env_steps": 150.0, "wall_s": 13.0, "rollout/return": 1.0},
        {"env_steps": 200.0, "wall_s": 17.0, "rollout/return": 1.0},
        {"env_steps": 200.0, "wall_s": 30.0, "eval/return_mean": 1.0},
    ]
    assert seconds_per_env_step(rows) == pytest.approx(5 / 100)


def test_cut_episodes_end_where_they_are_cut_and_are_zero_after() -> None:
    full = EpisodeBatch(
        obs=torch.ones(3, 6, 2, 1),
        state=torch.ones(3, 6, 4),
        avail_actions=torch.ones(3, 6, 2, 2, dtype=torch.bool),
        actions=torch.ones(3, 5, 2, dtype=torch.long),
        rewards=torch.ones(3, 5, 2),
        terminated=torch.zeros(3, 5, dtype=torch.bool),
        valid=torch.ones(3, 5, dtype=torch.bool),
    )
    shorter = cut(full, torch.tensor([2, 4, 1]))
    assert shorter.valid.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    assert shorter.terminated.nonzero().tolist() == [[0, 1], [1, 3], [2, 0]]
    assert shorter.rewards.sum((1, 2)).tolist() == [4, 8, 2]
    assert shorter.obs.sum((1, 2, 3)).tolist() == [6, 10, 4]
    assert shorter.avail_actions.dtype == torch.bool


def test_unequal_episodes_have_the_stated_lengths() -> None:
    assert torch.equal(lengths(), lengths())
    assert 30 <= lengths().min() < lengths().max() <= 200


def test_costs_are_read_in_their_unit() -> None:
    assert [cost(1.2345, "s"), cost(0.012345, "s"), cost(12_345_678.0, "B")] == ["1.23 s", "12.3 ms", "12 MB"]
