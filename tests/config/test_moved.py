"""A class that moves renames no run; another class of the same name does not pass for it."""

import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.differences import differences
from marlpipe.config.folder import config_folder
from marlpipe.config.moved import check_same_names, is_defined, names, replaced
from marlpipe.config.naming import arm_hash, defining_config, register_resolvers, run_path, without_modules
from marlpipe.config.plan import planned_folders
from marlpipe.config.stored import stored_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder

ALGOS = ("qmix", "lomaq_rd", "qpro", "pac", "resq", "graphmix")
HERE = "marlpipe.models.mixers.hypernet.HypernetMixer"
GONE = "marlpipe.mixers.hypernet.HypernetMixer"


def compose(folder: Path, *overrides: str) -> DictConfig:
    register_resolvers()
    with compose_api(folder):
        return compose_run(list(overrides), folder)


@pytest.mark.parametrize("algo", ALGOS)
def test_moving_every_module_renames_no_run(algo: str, tmp_path: Path) -> None:
    shutil.copytree(config_folder(), tmp_path / "conf")
    for file in (tmp_path / "conf").rglob("*.yaml"):
        if "hydra" not in file.relative_to(tmp_path / "conf").parts:
            file.write_text(file.read_text().replace("marlpipe.", "elsewhere.moved."))
    here, moved = (compose(folder, f"algo={algo}") for folder in (config_folder(), tmp_path / "conf"))
    assert {name.split(".")[0] for _, name in names(defining_config(moved))} >= {"elsewhere"}
    assert run_path(moved) == run_path(here)
    assert not list(differences(defining_config(here), defining_config(moved)))


def test_another_name_or_value_is_another_run() -> None:
    base = compose(config_folder())
    for changed in ("mixer._target_=marlpipe.models.mixers.hypernet.Other", "mixer.embed=7"):
        assert arm_hash(compose(config_folder(), changed)) != arm_hash(base)


def test_only_names_lose_their_module() -> None:
    lookup = {"_target_": "hydra.utils.get_method", "path": "a.b.f"}
    config = {"part": {"_target_": "a.b.C", "path": "a.b", "name": "x.y"}, "list": [lookup]}
    assert without_modules(config) == {
        "part": {"_target_": "C", "path": "a.b", "name": "x.y"},
        "list": [{"_target_": "get_method", "path": "f"}],
    }


@pytest.mark.parametrize(
    ("name", "defined"),
    [
        (HERE, True),
        (GONE, False),
        ("marlpipe.models.mixers.hypernet.Gone", False),
        ("no_such_package.Mixer", False),
        ("torch.nn.modules.rnn.GRU", True),
        ("torch.relu", False),
        ("GRU", False),
    ],
)
def test_whether_a_name_is_defined_is_read_from_the_source(name: str, defined: bool) -> None:
    assert is_defined(name) is defined


def test_a_class_of_the_same_name_that_still_exists_is_another() -> None:
    a, b = ({"mixer": {"_target_": name}} for name in ("torch.nn.modules.rnn.GRU", "marlpipe.models.agents.gru.GRU"))
    assert replaced(a, b) == [(("mixer", "_target_"), a["mixer"]["_target_"], b["mixer"]["_target_"])]
    assert not replaced({"mixer": {"_target_": GONE}}, {"mixer": {"_target_": HERE}})
    assert not replaced(a, {"mixer": {"_target_": HERE}}), "another name is another run, which its folder says"


def test_a_run_may_have_another_logger(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).create()
    there = compose(config_folder(), "logger=none")
    folder.config.write_text(OmegaConf.to_yaml(OmegaConf.masked_copy(there, [key for key in there if key != "hydra"])))
    check_same_names(folder, compose(config_folder(), "logger=wandb"))


def test_a_grid_with_two_classes_of_one_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("one", "two"):
        (tmp_path / f"mixers_{module}.py").write_text(f"from {HERE.rpartition('.')[0]} import HypernetMixer\n")
    monkeypatch.syspath_prepend(tmp_path)
    swept = "mixer._target_=mixers_one.HypernetMixer,mixers_two.HypernetMixer"
    register_resolvers()
    with pytest.raises(UserError, match=r"(?s)two arms would share the folder.*mixers_one.*mixers_two.*rename one"):
        planned_folders([swept], config_folder(), sweep=True)


def stored(folder: RunFolder, mixer: str) -> DictConfig:
    config = compose(config_folder(), "env=payoff", "logger=none")
    parts = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    own = OmegaConf.to_container(parts, resolve=True)
    assert isinstance(own, dict)
    assert own["mixer"]["_target_"] == HERE
    own["mixer"]["_target_"] = mixer
    folder.create().config.write_text(yaml.safe_dump(own))
    return config


def test_a_run_folder_with_another_class_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path / "run")
    config = stored(folder, "mixers_mine.HypernetMixer")
    check_same_names(folder, config)  # it is gone
    (tmp_path / "mixers_mine.py").write_text("class HypernetMixer: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"mixer\._target_: mixers_mine\.HypernetMixer there, {HERE} here"):
        check_same_names(folder, config)


def test_a_stored_config_is_read_under_the_names_of_today(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    stored(folder, GONE)
    assert stored_config(folder).mixer._target_ == HERE
    stored(folder, "strange.mixers.HypernetMixer")
    with pytest.raises(UserError, match="may be anyone's code"):
        stored_config(folder)
