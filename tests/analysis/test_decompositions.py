"""LOMAQ's Figure 6 out of run folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.evaluated_runs import Run
from marlpipe.analysis.report.reward_tables import reward_tables

MakeRun = Callable[..., Run]


def write(run: Run, rewards: dict[tuple[int, ...], list[list[float]]]) -> None:
    run.folder.append_tables(
        {
            "env_steps": 100,
            "decomposition/seen": [0.0, 0.5],
            "decomposition/sets": [list(members) for members in rewards],
            "decomposition/rewards": list(rewards.values()),
            "decomposition/predicted": np.sum(list(rewards.values()), axis=0).tolist(),
        }
    )


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the figure that is written."""
    found: list[Any] = []
    save = Figure.savefig

    def spy(figure: Figure, *given: Any, **named: Any) -> None:
        found.extend(axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>")
        save(figure, *given, **named)

    monkeypatch.setattr(Figure, "savefig", spy)
    return found


def test_a_row_of_heat_maps_for_each_arm_with_one_scale(make_run: MakeRun, tmp_path: Path, panels: list[Any]) -> None:
    one, two = [[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]
    single, pair = make_run("single"), make_run("pair")
    write(single, {(0,): [[9.0, 9.0], [9.0, 9.0]], (1,): two})  # an earlier evaluation
    write(single, {(0,): one, (1,): two})
    write(pair, {(0,): one, (1,): two, (0, 1): [[-3.0, 0.0], [0.0, 0.0]]})
    [(env, arms)] = by_env([pair, single]).items()
    out = reward_tables(env, arms, tmp_path / "out.png")
    assert out == tmp_path / "out.png"
    assert imread(out).shape[0] > 300
    titles = [axes.get_title() for axes in panels]
    assert titles == ["$r_{1}$", "$r_{2}$", "$r_{pred}$", "$r_{1}$", "$r_{2}$", "$r_{12}$", "$r_{pred}$"]
    shown = [axes.images[0].get_array().tolist() for axes in panels]
    assert shown[:3] == [one, two, [[2.0, 1.0], [1.0, 0.0]]]
    assert shown[5:] == [[[-3.0, 0.0], [0.0, 0.0]], [[-1.0, 1.0], [1.0, 0.0]]]
    assert {axes.images[0].get_clim() for axes in panels} == {(-3.0, 3.0)}
    image = panels[0].images[0]
    assert image.get_extent() == [-0.25, 0.75, -0.25, 0.75]
    assert image.origin == "lower"
    assert (panels[0].get_ylabel(), panels[0].get_xlabel()) == ("agent 1", "agent 2")


def test_without_learned_rewards_there_is_no_figure(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("qmix")
    run.folder.append_tables({"env_steps": 0, "eval/learned_table": [[1.0]]})
    [(env, arms)] = by_env([run]).items()
    assert reward_tables(env, arms, tmp_path / "out.png") is None
    assert not (tmp_path / "out.png").exists()
