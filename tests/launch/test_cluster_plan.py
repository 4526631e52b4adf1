"""How a grid becomes jobs and arrays, with all numbers worked out by hand."""

from dataclasses import replace
from typing import Any

import jaxtyping
import pytest

from marlpipe.errors import UserError
from marlpipe.launch.cluster import describe, total
from marlpipe.launch.cluster_job import gpu_shares
from marlpipe.launch.cluster_plan import Array, Resources, arrays, needed, packed


@pytest.fixture
def unchecked_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of tests: what a YAML file holds may have any type."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


USUAL = Resources(gpus=1, cpus=2, memory_gib=4.0, hours=4.0, runs_per_job=1)
LONG = replace(USUAL, hours=12.0)
FOUR = replace(USUAL, runs_per_job=4)


def jobs(planned: list[Array]) -> list[list[list[int]]]:
    return [[list(job) for job in array.jobs] for array in planned]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"algo": None, "env": None}, USUAL),
        ({"algo": {}, "env": {}}, USUAL),
        ({"algo": {"hours": 12}, "env": None}, replace(USUAL, hours=12)),
        ({"algo": {"hours": 2}, "env": None}, replace(USUAL, hours=2)),  # its own, also where that is less
        ({"algo": {"hours": 12, "gpus": 0}, "env": {"hours": 8, "cpus": 6}}, replace(USUAL, hours=12, gpus=0, cpus=6)),
        ({"algo": {"hours": 8}, "env": {"hours": 12}}, replace(USUAL, hours=12)),
    ],
)
def test_what_an_algorithm_or_a_world_needs(own: dict[str, Any], expected: Resources) -> None:
    assert needed(USUAL, own) == expected


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (
            {"algo": {"hour": 3}},
            r"hydra\.launcher\.algo: the resource 'hour'.*mean 'hours'\?.*valid: cpus, gpus,",
        ),
        ({"env": 3}, r"hydra\.launcher\.env: 3 is no resource\n  valid: such as \{hours: 12\}"),
        ({"env": {"hours": "ten"}}, r"hydra\.launcher\.hours=ten is not possible"),
        ({"algo": {"hours": 3}, "env": {"hours": "ten"}}, r"hydra\.launcher\.hours=ten is not possible"),
        ({"env": {"cpus": 0}, "algo": {"cpus": 2}}, r"hydra\.launcher\.cpus=0 is not possible"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_what_none_can_have(own: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=f"(?s){told}"):
        needed(USUAL, own)


@pytest.mark.parametrize(
    ("name", "given", "valid"),
    [
        ("gpus", -1, "a whole number of at least 0"),
        ("gpus", "two", "a whole number of at least 0"),
        ("gpus", True, "a whole number of at least 0"),
        ("gpus", 0.5, "a whole number of at least 0"),
        ("cpus", 0, "a whole number of at least 1"),
        ("cpus", None, "a whole number of at least 1"),
        ("cpus", 1.0, "a whole number of at least 1"),
        ("runs_per_job", 0, "a whole number of at least 1"),
        ("runs_per_job", 2.5, "a whole number of at least 1"),
        ("memory_gib", 0, "a number of at least 0.001"),
        ("hours", 0.01, "a number of at least 0.01666667"),
        ("hours", float("nan"), "a number of at least 0.01666667"),
        ("hours", float("inf"), "a number of at least 0.01666667"),
        ("hours", "4:00:00", "a number of at least 0.01666667"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_resources_that_cannot_be(name: str, given: Any, valid: str) -> None:
    with pytest.raises(UserError) as refused:
        replace(USUAL, **{name: given})
    said = f"hydra.launcher.{name}={given} is not possible.\n  valid: {valid}\n  next: hydra.launcher.{name}=1"
    assert str(refused.value) == said


def test_the_least_that_can_be() -> None:
    least = Resources(gpus=0, cpus=1, memory_gib=0.001, hours=1 / 60, runs_per_job=1)
    assert least.minutes == 1


def test_minutes_and_what_a_job_asks_for() -> None:
    assert (USUAL.minutes, replace(USUAL, hours=1.51).minutes, replace(USUAL, hours=0.02).minutes) == (240, 91, 1)
    assert USUAL.of_job(1) == (2, 4.0)
    assert USUAL.of_job(3) == (6, 12.0)


def test_packed_in_order() -> None:
    assert list(packed("abcde", 2)) == ["ab", "cd", "e"]
    assert list(packed("abcd", 2)) == ["ab", "cd"]
    assert list(packed("", 2)) == []


@pytest.mark.parametrize(
    ("needs", "largest", "expected"),
    [
        ([], 10, []),
        ([USUAL] * 3, 10, [[[0], [1], [2]]]),
        ([USUAL] * 5, 2, [[[0], [1]], [[2], [3]], [[4]]]),
        ([USUAL] * 3, 1, [[[0]], [[1]], [[2]]]),
        ([FOUR] * 10, 10, [[[0, 1, 2, 3], [4, 5, 6, 7]], [[8, 9]]]),  # what is left asks for less: not of that array
        ([FOUR] * 9, 1, [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8]]]),
        ([FOUR] * 3, 10, [[[0, 1, 2]]]),
        ([USUAL, LONG, USUAL, LONG, USUAL], 10, [[[0], [2], [4]], [[1], [3]]]),
        ([FOUR, USUAL, FOUR, FOUR, FOUR, FOUR], 10, [[[0, 2, 3, 4]], [[5]], [[1]]]),
    ],
)
def test_arrays(needs: list[Resources], largest: int, expected: list[list[list[int]]]) -> None:
    planned = arrays(needs, largest)
    assert jobs(planned) == expected
    assert all(array.resources == needs[number] for array in planned for job in array.jobs for number in job)


def test_hours_of_gpus_and_cores() -> None:
    full, rest = arrays([replace(FOUR, gpus=2, hours=1.5)] * 10, 100)
    assert (full.runs, full.gpu_hours, full.core_hours) == (8, 2 * 2 * 1.5, 8 * 2 * 1.5)
    assert (rest.runs, rest.gpu_hours, rest.core_hours) == (2, 2 * 1.5, 2 * 2 * 1.5)
    assert total([full, rest]) == "10 runs in 3 jobs, at most 9 GPU-hours and 30 core-hours without requeues"
    assert describe(full) == "2 jobs of 4 runs (2 GPU, 8 cores, 16 GiB, at most 1.5 h each)"
    assert describe(rest) == "1 job of 2 runs (2 GPU, 4 cores, 8 GiB, at most 1.5 h each)"
    assert total([]) == "0 runs in 0 jobs, at most 0 GPU-hours and 0 core-hours without requeues"


@pytest.mark.parametrize(
    ("visible", "runs", "expected"),
    [
        (None, 2, [None, None]),
        ("", 2, [None, None]),
        ("0", 3, ["0", "0", "0"]),
        ("2,5", 3, ["2", "5", "2"]),
        ("0,1,2", 2, ["0", "1"]),
        ("GPU-8a,MIG-9b", 2, ["GPU-8a", "MIG-9b"]),
    ],
)
def test_runs_take_the_gpus_of_their_job_in_turn(visible: str | None, runs: int, expected: list[str | None]) -> None:
    assert [share.get("CUDA_VISIBLE_DEVICES") for share in gpu_shares(visible, runs)] == expected
