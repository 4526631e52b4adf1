"""Which launcher does a command use? What Hydra would silently ignore is refused, with what to do instead."""

import shutil
from pathlib import Path

import pytest

from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError


@pytest.fixture(autouse=True)
def resolvers() -> None:
    register_resolvers()


def refused(*overrides: str, folder: Path | None = None, sweep: bool = True) -> str:
    with pytest.raises(UserError) as error:
        planned_folders(overrides, folder or config_folder(), sweep=sweep)
    return str(error.value)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The configs, and three experiments, of which two are about the launcher."""
    shutil.copytree(config_folder(), tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "far.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: slurm\n"
    )
    (tmp_path / "conf" / "experiment" / "near.yaml").write_text("# @package _global_\nseed: 3\n")
    (tmp_path / "conf" / "experiment" / "wide.yaml").write_text(
        "# @package _global_\nhydra:\n  launcher:\n    processes: 7\n"
    )
    return tmp_path / "conf"


def test_a_single_run_is_done_here() -> None:
    message = refused("hydra/launcher=slurm", sweep=False)
    assert message.startswith("hydra/launcher=slurm is for grids")
    assert "put -m behind marlpipe" in message
    assert "choose hydra/launcher=local" in message
    assert planned_folders(["hydra/launcher=slurm"], config_folder(), sweep=True)
    assert planned_folders(["hydra/launcher=local"], config_folder(), sweep=False)


@pytest.mark.parametrize("sweep", [True, False])
def test_an_experiment_cannot_select_the_launcher(sweep: bool, conf: Path) -> None:
    message = refused("+experiment=far", folder=conf, sweep=sweep)
    assert message.startswith("experiment=far selects hydra/launcher=slurm, which Hydra ignores there")
    assert "next: put -m and hydra/launcher=slurm on the command line" in message
    assert planned_folders(["+experiment=far", "hydra/launcher=slurm"], conf, sweep=True)


@pytest.mark.slow
def test_a_launcher_inside_a_swept_choice(conf: Path) -> None:
    message = refused("+experiment=near,far", "seed=0,1", folder=conf)
    assert message.startswith("nothing was started, because 1 of the grid's 2 arms cannot run:\n- +experiment=far\n")
    assert "experiment=far selects hydra/launcher=slurm, which Hydra ignores there" in message
    assert planned_folders(["+experiment=near,far", "hydra/launcher=slurm"], conf, sweep=True)


def test_settings_inside_a_swept_choice(conf: Path) -> None:
    message = refused("+experiment=near,wide", folder=conf)
    assert "- +experiment=wide\n  this run asks for other settings of hydra/launcher=local" in message


@pytest.mark.parametrize("swept", ["hydra/launcher=local,slurm", "hydra.launcher.processes=1,2"])
def test_a_swept_launcher(swept: str) -> None:
    error = refused(swept)
    assert error.startswith(f"{swept}: a grid has one launcher")
    assert "resources that differ by algorithm or world are in hydra.launcher.algo" in error


@pytest.mark.parametrize(
    ("setting", "valid"),
    [
        ("hydra.launcher.dry_run=no", "true or false"),
        ("hydra.launcher.hours=nan", "a number"),
        ("hydra.launcher.gpus=-1", "a whole number"),
        ("hydra.launcher.setup=text", "[A, B, …], each text"),
        ("hydra.launcher.at_once=[2]", "a whole number"),
    ],
)
def test_a_setting_of_another_kind(setting: str, valid: str) -> None:
    first, second, *_ = refused("hydra/launcher=slurm", setting).splitlines()
    assert first == f"{setting} is not possible."
    assert second.startswith(f"  valid: {valid}")


def test_an_axis_that_some_arms_lack() -> None:
    message = refused("algo=qmix,qtran,vdn", "loss.opt_factor=1.0,2.0", "seed=0,1")
    assert message.startswith("nothing was started, because 4 of the grid's 6 arms cannot run:")
    for arm in ("algo=qmix loss.opt_factor=1.0", "algo=qmix loss.opt_factor=2.0", "algo=vdn loss.opt_factor=1.0"):
        assert f"- {arm}\n  loss: the key 'opt_factor' does not exist." in message
    assert "algo=qtran" not in message
    assert message.endswith("arms that cannot have all of it need a command of their own.")


@pytest.mark.slow
def test_an_option_that_does_not_exist_is_told_beside_the_others() -> None:
    message = refused("algo=qmx,vdn,qtran", "loss.opt_factor=1.0,2.0")
    assert "4 of the grid's 6 arms" in message
    assert "algo: the option 'qmx' does not exist. Did you mean 'qmix'?" in message
    assert "- algo=vdn loss.opt_factor=2.0\n  loss: the key 'opt_factor'" in message


def test_what_is_wrong_with_all_arms_is_told_once() -> None:
    message = refused("algo=vdn,qmix", "agent.hiden=8,16")
    assert message.startswith("agent: the key 'hiden' does not exist. Did you mean 'hidden'?")


def test_a_key_that_only_swept_options_have() -> None:
    message = refused("algo=qtran,qtran_alt", "loss.opt_factor=2.0")
    assert "write choice() around its value: KEY=choice(VALUE)" in message
    assert (
        len(planned_folders(["algo=qtran,qtran_alt", "loss.opt_factor=choice(2.0)"], config_folder(), sweep=True)) == 2
    )


def test_a_run_lies_where_paths_says_and_nowhere_else(tmp_path: Path) -> None:
    register_resolvers()
    usual = planned_folders([f"paths.runs={tmp_path}"], config_folder(), sweep=False)
    assert usual[0].is_relative_to(tmp_path)
    for key in ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"):
        with pytest.raises(UserError, match=rf"a YAML file sets {key}={tmp_path}/mine.*\n  next: set paths.runs"):
            planned_folders([f"{key}={tmp_path}/mine"], config_folder(), sweep=False)
