"""Scores between what random actions earn and the most there is, and where that is known from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.statistics.references import (
    DIFFERENT,
    KNOWN,
    UNLISTED,
    Known,
    Reference,
    References,
    normalised,
    read_references,
    references,
)
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.errors import UserError
from marlpipe.runs.files import write_text

MakeRun = Callable[..., Run]
CLASSIC = {"team_payoffs": [[8, -12, -12], [-12, 0, 0], [-12, 0, 0]], "local_payoffs": None, "horizon": 1}
LOCAL = {"team_payoffs": None, "local_payoffs": [[[0, 1], [1, 2]], [[2, 1], [1, 1]]], "horizon": 2}
CART = {"_target_": "CartPole", "n_agents": 3, "time_limit": 200}
CARTS = [Known(Reference(70.0, 600.0, "measured"), CART)]


def in_world(run: Run, env: dict[str, Any]) -> Run:
    write_text(run.folder.config, OmegaConf.to_yaml({"env": env}))
    return run


def found(listed: list[Known] | None, *runs: Run) -> References:
    return references(by_env(runs), listed)


def test_scores_by_hand() -> None:
    scores = {"cart": np.array([70.0, 335.0, 600.0]), "game": np.array([-1.0]), "unknown": np.array([1.0])}
    known = {"cart": Reference(70, 600, "x"), "game": Reference(1, 3, "x"), "other": Reference(0, 1, "")}
    result = normalised(scores, References(known, {"unknown": "a reason"}))
    assert {task: runs.tolist() for task, runs in result.scores.items()} == {"cart": [0, 0.5, 1], "game": [-1]}
    assert result.messages == ("unknown is in no aggregate over tasks: a reason",)


def test_a_matrix_game_says_both_itself(make_run: MakeRun) -> None:
    runs = [in_world(make_run(env="classic"), CLASSIC), in_world(make_run(env="local"), LOCAL)]
    known = found([], *runs).known
    assert known["classic"][:2] == pytest.approx(((8 - 4 * 12) / 9, 8))
    assert known["local"][:2] == pytest.approx((2 * 9 / 4, 6))  # two env steps of [[2, 2], [2, 3]]


@pytest.mark.parametrize(
    "env",
    [
        {**CLASSIC, "team_payoffs": [[1, 1], [1, 1]]},  # nothing to gain
        {**CLASSIC, "team_payoffs": [[1, 2], [3]]},
        {**CLASSIC, "horizon": None},
        {**CLASSIC, "team_payoffs": None},
        {},
    ],
)
def test_what_is_no_game_has_no_reference(make_run: MakeRun, env: dict[str, Any]) -> None:
    assert found([], in_world(make_run(), env)) == References({}, {"cartpole": UNLISTED})


def test_a_known_world_is_known_by_its_settings(make_run: MakeRun) -> None:
    assert found(CARTS, in_world(make_run(), {**CART, "view": 2})) == References({"cartpole": CARTS[0].reference}, {})
    assert found(CARTS, in_world(make_run(), {**CART, "time_limit": 50})).missing == {"cartpole": UNLISTED}


def test_arms_in_different_worlds_have_no_reference_together(make_run: MakeRun) -> None:
    usual = in_world(make_run("qmix"), CART)
    assert found(CARTS, usual, in_world(make_run("vdn"), CART)).known != {}
    other = in_world(make_run("vdn"), {**CART, "time_limit": 50})
    assert found(CARTS, usual, other) == References({}, {"cartpole": DIFFERENT})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot read"),
        ("", "is not the config of a run"),
        ("[1, 2]", "is not the config of a run"),
        ("env: cartpole", UNLISTED),
        ("env: {", "is no YAML"),
        ("env: &a [*a]", "refers to parts of itself"),
        ("- " * 100_000, "is longer than 100,000 characters"),
        ("[" * 5000, "is no YAML"),
        ("\0", "is not the config of a run"),
    ],
)
def test_a_config_that_cannot_be_read_is_the_reason_for_no_reference(
    make_run: MakeRun, text: str | None, reason: str
) -> None:
    """An unreadable config is not taken for a world without a reference."""
    run = make_run()
    if text is not None:
        write_text(run.folder.config, text)
    result = found(CARTS, run)
    assert result.known == {}
    assert reason in result.missing["cartpole"]


def test_the_references_that_come_with_marlpipe_are_of_its_worlds(make_run: MakeRun) -> None:
    listed = read_references()
    assert listed
    for known in listed:
        name = Path(known.reference.source).stem
        with compose_api(config_folder()):
            env = OmegaConf.to_container(compose_run([f"env={name}"], config_folder()).env, resolve=True)
        assert isinstance(env, dict)
        assert found(None, in_world(make_run(env=name), env)) == References({name: known.reference}, {})
    assert listed[0].reference.best == 3 * 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "random: 1",
        "- 3",
        "- {random: 0, best: 1, source: x}",
        "- {random: 1, best: 1, source: x, env: {a: 1}}",
        "- {random: zero, best: 1, source: x, env: {a: 1}}",
        "- {random: .nan, best: 1, source: x, env: {a: 1}}",
        "- {random: 0, best: 1, source: x, env: cartpole}",
        "- {",
    ],
)
def test_an_invalid_file_of_references_is_refused(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "mine.yaml", text)
    with pytest.raises(UserError, match=r"mine\.yaml is invalid"):
        read_references(tmp_path / "mine.yaml")
    with pytest.raises(UserError, match=r"none\.yaml"):
        read_references(tmp_path / "none.yaml")


def test_own_references_are_read(tmp_path: Path) -> None:
    write_text(tmp_path / "mine.yaml", "- {random: 0, best: 1.5, source: measured, env: {a: [1, 2]}}")
    assert read_references(tmp_path / "mine.yaml") == [Known(Reference(0.0, 1.5, "measured"), {"a": [1, 2]})]
    assert KNOWN.is_file()
