"""`--cfg` and `--info`: what would be trained, and where it comes from; own options are found by every way."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf

from marlpipe.commands.command_line import verbs
from marlpipe.errors import UserError
from tests.commands.terminal import run


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert verbs.run(list(words)) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_the_parts_of_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    job = printed(capsys, "algo=vdn", "--cfg", "job", "seed=3")
    assert job["seed"] == 3
    assert "hydra" not in job
    assert printed(capsys, "-c", "job", "-p", "profile", "algo=vdn", "seed=3") == job["profile"]
    assert list(printed(capsys, "--cfg", "hydra")) == ["hydra"]
    assert verbs.run(["--cfg=job", "-p", "profile.returns.discount", "--resolve"]) == 0
    assert capsys.readouterr().out == "0.99\n"
    assert verbs.run(["--cfg", "hydra", "--resolve", "--package", "hydra.run.dir"]) == 0
    assert capsys.readouterr().out.startswith("multirun/cartpole/qmix-")


def test_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.run(["algo=vdn", "--info", "searchpath"]) == 0
    assert "file://" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cfg", "job", "algo=qmx"], "algo: the option 'qmx' does not exist. Did you mean 'qmix'?"),
        (["--cfg", "job", "seed=1,2"], "seed=1,2 has several values, and one run has one."),
        (["--cfg", "job", "-m", "seed=1,2"], "each run of a grid has a config of its own: seed=1,2"),
        (["--cfg", "job", "seed=x"], "seed=x is not possible."),
        (["--cfg", "jobs"], "--cfg: the value 'jobs' does not exist. Did you mean 'job'?"),
        (["--cfg", "job", "-p", "nosuch"], "--package nosuch: the config has no such key."),
        (["--info", "nothing"], "--info: the value 'nothing' does not exist."),
        (["--info", "defaults", "algo=qmx"], "algo: the option 'qmx' does not exist."),
        (["--resolve"], "--resolve is of --cfg."),
        (["--package", "env"], "--package is of --cfg."),
        (["--config-name", "nonsense"], "--config-name is an option of Hydra"),
        (["-cp", "x"], "--config-path is an option of Hydra"),
        (["--hydra-help"], "--hydra-help is an option of Hydra"),
        (["--shell-completion", "install=bash"], "--shell-completion is an option of Hydra"),
        (["-r"], "--run is an option of Hydra"),
        (["--config-dir", "/no/such"], "there is no folder of configs"),
        (["--multirum"], "the option '--multirum' does not exist. Did you mean '--multirun'?"),
        (["--config-dir", "/no/such"], "there is no folder of configs /no/such\n"),
        (["--config-dir="], "--config-dir: the name of a folder is empty"),
        (["hydra.searchpath=['']"], "the name of a folder of configs is empty"),
        (["--cfg", "job", "--info", "defaults"], "--info and --cfg exclude each other."),
        (["-m", "--info", "defaults"], "--info and -m exclude each other."),
        (["--package", ""], "--package is of --cfg."),
        (["--cfg", "job", "hydra.launcher.processes=${hydra:job.num}"], "hydra.launcher.processes=${hydra:job.num} is"),
    ],
)
def test_flags_are_followed_or_refused_by_name(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        verbs.run(words)
    assert str(error.value).startswith(message)


def test_what_is_said_to_be_valid_is_not_refused_next() -> None:
    with pytest.raises(UserError) as error:
        verbs.run(["--nonsense"])
    assert "--config-dir" in str(error.value)
    assert "--config-name" not in str(error.value)
    with pytest.raises(UserError, match=r"see marlpipe --help"):
        verbs.run(["--cfg"])


@pytest.mark.parametrize(
    "ways",
    [
        ["hydra.searchpath=[a]", "--config-dir", "b"],
        ["hydra.searchpath=[a]", "hydra.searchpath=[b]"],
        ["+hydra.searchpath=[a,b]"],
        ["-cd", "a", "-cd", "b"],
    ],
)
def test_every_place_of_configs_is_followed(
    ways: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, hidden in (("a", 3), ("b", 5)):
        (tmp_path / folder / "agent").mkdir(parents=True)
        (tmp_path / folder / f"agent/of_{folder}.yaml").write_text(f"defaults: [rnn]\nhidden: {hidden}\n")
    monkeypatch.chdir(tmp_path)
    for folder, hidden in (("a", 3), ("b", 5)):
        assert printed(capsys, *ways, f"agent=of_{folder}", "--cfg", "job", "-p", "agent.hidden") == hidden


@pytest.mark.parametrize("way", ["--config-dir=mine", "hydra.searchpath=[mine]"])
@pytest.mark.parametrize("grid", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_options_of_ones_own_are_trained(way: str, grid: bool, tmp_path: Path) -> None:
    (tmp_path / "mine/agent").mkdir(parents=True)
    (tmp_path / "mine/agent/tiny.yaml").write_text("defaults: [feedforward]\nhidden: 3\n")
    status, out, err = run(tmp_path, "agent.hidden=5", "agent=tiny", way, "env=payoff", "~env.n_agents", grid=grid)
    assert status == 2, out + err  # the preset's keys of cart-pole are not those of the payoff game
    status, out, err = run(tmp_path, way, "agent=tiny", "algo=vdn", *(["seed=0,1"] if grid else []), grid=grid)
    assert status == 0, out + err
    configs = [OmegaConf.load(file) for file in tmp_path.glob("multirun/cartpole/vdn-*/seed=*/config.yaml")]
    assert [config.agent.hidden for config in configs] == [8] * (2 if grid else 1)  # typed, in the short preset
    assert all(config.agent._target_.endswith("FeedForwardAgent") for config in configs)
