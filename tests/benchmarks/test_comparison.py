"""What `make bench-check` calls slower, and what it does not."""

from dataclasses import replace

import pytest

from benchmarks.comparison import Comparison, compare, half_range, other_machine
from benchmarks.results import Results
from tests.benchmarks.measured import HARDWARE, results

QUIET = [3.0, 3.03, 2.97, 3.0]


def verdicts(before: Results, now: Results) -> dict[str, str]:
    return {change.of.name: change.verdict for change in compare(before, now).changes}


def times(factor: float, costs: list[float]) -> list[float]:
    return [factor * cost for cost in costs]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "same"), (1.04, "same"), (1.1, "slower"), (0.96, "same"), (0.9, "faster")]
)
def test_a_change_beyond_the_noise_is_reported(factor: float, verdict: str) -> None:
    assert verdicts(results(QUIET), results(times(factor, QUIET)))["update"] == verdict


def test_a_slower_machine_is_no_slower_code() -> None:
    slow = results(times(1.4, QUIET), floor=[2.8] * 4)
    assert verdicts(results(QUIET), slow)["update"] == "same"


def test_a_faster_machine_hides_no_slower_code() -> None:
    fast = results(QUIET, floor=[1.6] * 4)
    assert verdicts(results(QUIET), fast)["update"] == "slower"


@pytest.mark.parametrize("noisy_side", ["before", "now"])
def test_noise_on_either_side_widens_what_counts_as_the_same(noisy_side: str) -> None:
    """Ratios from 1.25 to 1.8 reach a factor of 1.2 to either side of their middle, so 1.1 more is nothing."""
    noisy, slower = [2.5, 3.0, 3.0, 3.6], times(1.1, QUIET)
    before, now = (noisy, slower) if noisy_side == "before" else (QUIET, times(1.1, noisy))
    assert verdicts(results(before), results(now))["update"] == "same"
    worse = times(1.3, slower if noisy_side == "before" else noisy)
    assert verdicts(results(before), results(worse))["update"] == "slower"


def test_the_noise_of_both_adds_up() -> None:
    noisy = [3 / 1.1, 3.0, 3.0, 3 * 1.1]
    [change, _] = compare(results(noisy), results(times(1.15, noisy))).changes
    assert change.noise == pytest.approx(1.21)
    assert change.factor == pytest.approx(1.15)
    assert change.verdict == "same"


@pytest.mark.parametrize(("before", "now"), [(2, 4), (4, 2)])
def test_two_repetitions_show_no_noise(before: int, now: int) -> None:
    found = verdicts(results(QUIET[:before]), results(times(2.0, QUIET)[:now]))
    assert found["update"] == "too few repetitions"


def test_memory_is_compared_as_it_is() -> None:
    before = results(QUIET)
    updates = before.sections["updates"]
    larger = {**updates.series, "replay": replace(updates.series["replay"], costs=[120.0] * 4)}
    now = replace(before, sections={"updates": replace(updates, series=larger)})
    assert verdicts(before, now) == {"update": "same", "replay": "slower"}


def one_side(comparison: Comparison) -> tuple[list[str], list[str]]:
    return [same.name for same in comparison.new], [same.name for same in comparison.gone]


def test_a_measurement_on_one_side_only_is_listed_and_is_no_change() -> None:
    found = compare(results(QUIET), results(QUIET, name="another"))
    assert one_side(found) == (["another"], ["update"])
    assert [change.of.name for change in found.changes] == ["replay"]


def test_what_was_measured_in_another_size_is_not_compared() -> None:
    found = compare(results(QUIET), results(times(2.0, QUIET), amount=2.0))
    assert one_side(found) == (["update"], ["update"])


def test_unselected_sections_are_not_reported_as_missing() -> None:
    before = results(QUIET)
    more = replace(before, sections={**before.sections, "acting": before.sections["updates"]})
    assert one_side(compare(more, before)) == ([], [])
    assert {change.of.section for change in compare(more, before).changes} == {"updates"}


def test_the_worst_comes_first() -> None:
    before = results(QUIET)
    series = before.sections["updates"].series
    both = replace(
        before, sections={"updates": replace(before.sections["updates"], series={**series, "late": series["update"]})}
    )
    worse = {**series, "late": replace(series["update"], costs=times(2.0, QUIET))}
    now = replace(before, sections={"updates": replace(before.sections["updates"], series=worse)})
    assert compare(both, now).changes[0].of.name == "late"


def test_half_the_range_is_a_factor() -> None:
    assert half_range([2.0, 8.0, 3.0]) == pytest.approx(2.0)


def test_another_machine_is_recognised_by_what_speed_depends_on() -> None:
    here = {"hardware": HARDWARE}
    assert other_machine(here, {"hardware": {**HARDWARE, "memory_gib": 16.0}}) == ""
    assert other_machine(here, {"hardware": {**HARDWARE, "cores": 4}}) == "cores 2, now 4"
