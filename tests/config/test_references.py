"""Values that refer to others: each run of a grid looks up its own, and none depends on when it is looked up."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from marlpipe.config.compose import check_references
from marlpipe.config.folder import config_folder
from marlpipe.config.launcher import check_runs_here
from marlpipe.config.naming import arm_label, overrides_of, register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from tests.support.composition import compose

SMALL = ("env=payoff", "agent=feedforward", "logger=none")


@pytest.mark.parametrize(
    "value",
    [
        "${hydra:job.num}",
        "${ hydra:runtime.cwd}/runs",
        "${hydra.job.override_dirname}",
        "${hydra}",
        "${oc.select:hydra.job.num}",
        "${oc.decode:${hydra:job.num}}",
        "runs/${now:%Y-%m-%d}",
    ],
)
@pytest.mark.parametrize("place", ["env.n_agents", "logger.tags[0]", "hydra.launcher.processes"])
def test_what_changes_from_one_look_to_the_next_is_refused(value: str, place: str) -> None:
    config = OmegaConf.create(
        {"env": {"n_agents": 3}, "logger": {"tags": ["a"]}, "hydra": {"launcher": {"processes": 1}, "sweeper": {}}}
    )
    OmegaConf.update(config, place, value)
    with pytest.raises(UserError) as error:
        check_references(config)
    assert str(error.value).startswith(f"{place}={value} is not possible")


@pytest.mark.parametrize("value", ["${seed}", "${hydra_like}", "${oc.env:HOME}", r"\${hydra:job.num}", "hydra:job.num"])
def test_other_references_are_kept(value: str) -> None:
    config = OmegaConf.create(
        {"env": {"n_agents": value}, "hydra": {"launcher": {}, "sweeper": {}, "run": "${now:%Y}"}}
    )
    check_references(config)


@pytest.mark.parametrize("sweep", [False, True])
def test_what_was_typed_is_not_looked_up_where_it_is_recorded(sweep: bool) -> None:
    """A relative reference means something in its own place only."""
    register_resolvers()
    typed, same = ([*SMALL, f"profile.epsilon_start={value}"] for value in ("${.epsilon_end}", "0.05"))
    assert planned_folders(typed, config_folder(), sweep=sweep) == planned_folders(same, config_folder(), sweep=sweep)


def test_each_run_of_a_grid_looks_up_its_own() -> None:
    register_resolvers()
    swept = planned_folders(
        [*SMALL, "seed=0", "agent.hidden=8,16", "mixer.embed=${agent.hidden}"], config_folder(), sweep=True
    )
    alone = [[*SMALL, "seed=0", f"agent.hidden={width}", f"mixer.embed={width}"] for width in (8, 16)]
    assert swept == [folder for one in alone for folder in planned_folders(one, config_folder(), sweep=False)]


def test_what_refers_to_the_seed_is_another_value_for_each(tmp_path: Path) -> None:
    """The runs of an arm are composed once, and each lies where its own seed leads to."""
    register_resolvers()
    typed = [*SMALL, "agent.hidden=${seed}", f"paths.runs={tmp_path}/${{seed}}"]
    swept = planned_folders([*typed, "seed=2,3"], config_folder(), sweep=True)
    assert swept == [
        folder for seed in (2, 3) for folder in planned_folders([*typed, f"seed={seed}"], config_folder(), sweep=False)
    ]
    assert [folder.parts[len(tmp_path.parts)] for folder in swept] == ["2", "3"]


def test_overrides_of_hydra_are_as_typed() -> None:
    config = compose(*SMALL)
    config.hydra.overrides.hydra = ["hydra.launcher.processes=${hydra:job.num}"]
    config.hydra.overrides.task = ["agent.hidden=${.x}"]
    assert overrides_of(config.hydra, "task") == ["agent.hidden=${.x}"]
    assert arm_label(config.hydra) == "qmix agent.hidden=${.x}"
    with pytest.raises(UserError, match="is for grids"):
        check_runs_here(config, config_folder())
