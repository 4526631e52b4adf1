"""`marlpipe figures`: from runs to kept curves, and from these to pictures and a table."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from marlpipe.analysis.papers.curves import merged, read_curves, write_curves
from marlpipe.analysis.papers.figures import paper_figures
from marlpipe.config.compose import compose_api
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import compose_grid, expand_sweep
from marlpipe.errors import UserError
from tests.analysis.page.grid_of_runs import write_run
from tests.analysis.papers.test_claims import arm, curve
from tests.support.command import verb
from tests.support.repository import ROOT

run = verb("figures")


def test_curves_survive_the_file(tmp_path: Path) -> None:
    curves = [*arm("lomaq mixer.hops=0", [1.5, 2.25]), curve("b", 0, [float("nan"), 1234.5678])]
    write_curves(tmp_path / "a.csv", curves)
    read = read_curves(tmp_path / "a.csv")
    assert [one.key for one in read] == [one.key for one in curves]
    assert read[2].returns.tolist()[1] == 1234.6
    assert np.isnan(read[2].returns[0])
    write_curves(tmp_path / "b.csv", read)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_a_new_curve_takes_the_place_of_the_same_run() -> None:
    [first, second], [again] = arm("a", [1.0, 2.0]), arm("a", [9.0])
    assert [one.returns[-1] for one in merged([second, first], [again])] == [9.0, 2.0]


@pytest.mark.parametrize("text", ["env,arm\na,b\n", "env,arm,seed,env_steps,minutes,return\na,b,0,x,0,0\n"])
def test_a_file_that_is_no_table_of_curves(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match="no table of learning curves"):
        read_curves(tmp_path / "a.csv")


def test_from_runs_to_figures_and_again_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    for seed in range(5):
        write_run(runs, "predator_prey_p2", "qpro", seed, [0.0, 20.0, 39.0 + seed / 10])
        write_run(runs, "predator_prey_p2", "wqmix", seed, [0.0, 1.0, 30.0 + seed / 10])
    write_run(runs, "predator_prey_p2", "qpro", 9, [0.0, 1.0], state="running")
    write_run(runs, "predator_prey_p2", "qpro other=1", 0, [0.0, 1.0])
    assert run([runs, "--out", out]) == 0
    assert "qpro_fig1_predator_prey.png" in capsys.readouterr().out
    kept = read_curves(out / "qpro_fig1_predator_prey.csv")
    assert [(one.arm, one.seed) for one in kept] == [(name, seed) for name in ("qpro", "wqmix") for seed in range(5)]
    table = (out / "claims.md").read_text()
    [row] = [line for line in table.splitlines() if "at p = −2 QPro ends above WQMIX" in line]
    assert "**holds**" in row
    assert "qpro 39.2; wqmix 30.2 (+9.0 [" in row
    assert "no run of lomaq" in table
    shutil.rmtree(runs)
    pictures = {file: file.read_bytes() for file in out.glob("*.png")}
    assert {file.stem for file in pictures} == {"qpro_fig1_predator_prey", "qpro_fig4_ablations", "qpro_weights"}
    for file in pictures:
        file.unlink()
    assert run(["--out", out]) == 0
    assert {file: file.read_bytes() for file in out.glob("*.png")} == pictures
    assert (out / "claims.md").read_text() == table


def test_the_experiments_train_every_arm_of_every_figure() -> None:
    """By the names that a report gives them."""
    trained: set[tuple[str, str]] = set()
    register_resolvers()
    for file in sorted((config_folder() / "experiment" / "fast").glob("*.yaml")):
        with compose_api(config_folder()):
            grid = compose_grid([f"+experiment=fast/{file.stem}"], config_folder())
            for overrides in expand_sweep(grid):
                typed = dict(override.split("=", 1) for override in overrides)
                parts = [
                    f"{key}={value}"
                    for key, value in typed.items()
                    if key not in ("env", "algo", "seed", "+experiment")
                ]
                choices = grid.hydra.runtime.choices
                trained.add((typed.get("env", choices.env), " ".join([typed.get("algo", choices.algo), *parts])))
    for figure in paper_figures():
        for env in figure.panels:
            assert {(env, name) for name in figure.arms} <= trained


def test_the_documented_claims_are_those_of_the_kept_curves(tmp_path: Path) -> None:
    """docs/results.md has each row as the curves in docs/results give it, and redrawing needs nothing else."""
    shutil.copytree(ROOT / "docs" / "results", tmp_path / "results")
    assert list((tmp_path / "results").glob("*.csv"))
    assert run(["--out", tmp_path / "results"]) == 0
    rows = (tmp_path / "results" / "claims.md").read_text().splitlines()
    documented = (ROOT / "docs" / "results.md").read_text().splitlines()
    assert [row for row in rows if row not in documented and "**not run**" not in row] == []


def test_the_kept_curves_are_small() -> None:
    assert sum(file.stat().st_size for file in (ROOT / "docs" / "results").glob("*.csv")) < 2_000_000
