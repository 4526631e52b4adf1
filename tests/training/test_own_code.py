"""Which files of the user's own a run's code is made of."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from marlpipe.training.own_code import users_configs, users_modules


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with modules of one's own, and an installation in it."""
    texts = {
        "my_study/__init__.py": "",
        "my_study/worlds.py": "import my_study.sizes, my_study_helper, my_study_package\nWorld = dict\n",
        "my_study/sizes.py": "N = 2\n",
        "my_study/unused.py": "N = 2\n",
        "my_study_helper.py": "",
        "my_study_broken.py": "raise RuntimeError",
        ".venv/lib/site-packages/my_study_package.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / ".venv" / "lib" / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_study")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "world",
    [
        {"_target_": "my_study.worlds.World"},
        {"_target_": "marlpipe.envs.pettingzoo_worlds.PettingZooWorld", "name": "my_study.worlds:World"},
        {"of": [{"_target_": "hydra.utils.get_method", "path": "my_study.worlds.World.keys"}]},
    ],
)
def test_modules_that_a_config_names_and_what_they_import_from_there(study: Path, world: dict[str, object]) -> None:
    config = OmegaConf.create({"env": world, "loss": {"_target_": "marlpipe.algos.factorised_q.FactorisedQ"}})
    names = ("my_study/__init__.py", "my_study/sizes.py", "my_study/worlds.py", "my_study_helper.py")
    assert users_modules(config) == [study / name for name in names]


@pytest.mark.usefixtures("study")
def test_a_config_of_installed_parts_has_no_code_of_ones_own() -> None:
    parts = (
        "marlpipe.envs.payoff.PayoffGame",
        "torch.nn.GRU",
        "json.loads",
        "my_study_package",
        "my_study_broken.World",
    )
    config = OmegaConf.create({"parts": [{"_target_": part} for part in parts], "name": "sisl/pursuit-v5"})
    assert users_modules(config) == []


def test_yaml_files_of_chosen_options_in_folders_of_ones_own(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "conf", tmp_path / "theirs"
    for file in (
        ours / "env" / "a.yaml",
        theirs / "env" / "b.yaml",
        theirs / "env" / "c.yaml",
        theirs / "secrets.yaml",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x: 1\n")
    (ours / "train.yaml").write_text("defaults:\n  - env: a\n  - env@other: a\n")
    with initialize_config_dir(str(ours), version_base="1.3"):
        choice = [f"hydra.searchpath=[file://{theirs}]", "env@other=b"]
        hydra = compose("train", choice, return_hydra_config=True).hydra
    assert users_configs(hydra) == [ours / "env" / "a.yaml", theirs / "env" / "b.yaml"]
