"""`python -m marlpipe bandit`: what it writes is what was played, and what it says to input that cannot be."""

import csv
import re
import shlex
from pathlib import Path

import numpy
import pytest
from omegaconf import OmegaConf
from PIL import Image

from marlpipe.analysis.evaluated_runs import find_runs
from marlpipe.bandit.command import built
from marlpipe.bandit.options import asked
from marlpipe.bandit.play import play
from marlpipe.config.folder import config_folder
from marlpipe.errors import UserError
from tests.support.command import exit_status, verb
from tests.support.repository import DOCS

run = verb("bandit")
CARD = DOCS / "methods" / "multi_oful.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def folders(pattern: str) -> list[Path]:
    return sorted(Path("multirun/bandit").glob(pattern))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_study_of_partitions(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["partition=singletons,pairs,full", "seed=0,1,2", "rounds=40"]
    assert run(command) == 0
    said = capsys.readouterr().out
    [report] = folders("reports/*")
    for partition, n_actions, n_blocks in (("singletons", 12, 4), ("pairs", 18, 2), ("full", 81, 1)):
        [folder] = folders(f"{partition}-*")
        [arm] = asked([f"partition={partition}", "rounds=40"], config_folder())
        env, matrix, constants = built(arm.config)
        assert constants.n_block_actions == n_actions
        assert matrix.shape == (n_blocks, 4)
        expected = play(env, matrix, constants, 1.0, [0, 1, 2]).regret
        rows = read(folder / "regret.csv")
        assert int(rows[-1]["round"]) == 40
        for row in rows:
            told = [float(row[f"seed={seed}"]) for seed in range(3)]
            assert told == expected[int(row["round"]) - 1].tolist()
            ratio = float(row["corrected_bound"]) / float(row["printed_bound"])
            assert ratio == pytest.approx(n_blocks**0.5)
        config = OmegaConf.load(folder / "config.yaml")
        assert (config.seeds, config.env.horizon, config.rounds) == ([0, 1, 2], 40, 40)
        assert "git" in (folder / "provenance.json").read_text()
        last, fifth = expected[-1], expected[7]
        cells = (
            f"{partition} +{n_actions} +{fifth.mean():.1f} ± {fifth.std():.1f} +{last.mean():.1f} ± {last.std():.1f}"
        )
        assert re.search(cells, said)
        assert str(folder) in said
    assert [row["arm"] for row in read(report / "table.csv")] == ["singletons", "pairs", "full"]
    with Image.open(report / "regret.png") as picture:
        pixels = numpy.array(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert (pixels == colour).all(1).sum() > 500
    before = {path: path.read_bytes() for path in Path("multirun").rglob("*.csv")}
    assert run(command) == 0  # again
    assert {path: path.read_bytes() for path in Path("multirun").rglob("*.csv")} == before


def test_other_settings_and_other_seeds_have_folders_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rounds=3", "env.n_agents=2,3", "ridge=1.0,2.0"]) == 0
    assert run(["rounds=3", "seed=1"]) == 0
    assert run(["rounds=3"]) == 0
    assert len(folders("singletons-*")) == 6
    assert len(folders("reports/*")) == 3
    said = capsys.readouterr().out
    assert re.search(r"^ singletons env\.n_agents=3 ridge=2\.0 +9 ", said, re.MULTILINE)
    assert re.search(r"^ singletons +12 ", said, re.MULTILINE)


def test_every_setting_reaches_the_run() -> None:
    """Settings that change nothing would be misunderstood."""
    [plain] = asked([], config_folder())
    env, _, constants = built(plain.config)
    assert (env.horizon, plain.seeds, plain.config.exploration_factor) == (5000, (0,), 1.0)
    assert (constants.sizes, constants.ridge, constants.delta, constants.noise) == ((1, 1, 1, 1), 1.0, 0.05, 0.1)
    assert (constants.n_actions, constants.context_dim, constants.context_radius) == (3, 5, 1.0)
    assert constants.parameter_radius == 0.25
    given = ["partition=full", "ridge=2", "delta=0.1", "env.noise=0.3", "env.context_radius=0.5", "seed=range(2,5)"]
    [changed] = asked([*given, "exploration_factor=2", "block_noise=sum"], config_folder())
    _, _, constants = built(changed.config)
    assert (constants.sizes, constants.ridge, constants.delta) == ((4,), 2.0, 0.1)
    assert (constants.noise, constants.context_radius) == (pytest.approx(1.2), 0.5)
    assert changed.seeds == (2, 3, 4)
    run(["rounds=30", "exploration_factor=0,1"])
    first, second = (read(folder / "regret.csv")[-1]["seed=0"] for folder in folders("singletons-*"))
    assert first != second
    run(["rounds=30", "partition=full", "block_noise=sum,independent"])
    loose, tight = (read(folder / "regret.csv")[-1]["printed_bound"] for folder in folders("full-*"))
    assert loose != tight


def test_the_folders_are_no_runs_of_training() -> None:
    run(["rounds=2"])
    with pytest.raises(UserError, match="no run found"):
        find_runs([Path("multirun")])


def test_a_world_of_one_action_has_no_regret_and_draws_all_the_same() -> None:
    assert run(["rounds=3", "env.n_actions=1", "ridge=0.1"]) == 0
    assert len(folders("reports/*/regret.png")) == 1


def test_many_arms_have_a_colour_each() -> None:
    assert run(["rounds=2", "env.n_agents=1,2,3,4,5,6,7,8"]) == 0
    assert len(folders("singletons-*")) == 8


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["partition=pears"], "partition: the option 'pears'.*Did you mean 'pairs'.*valid: blocks,"),
        (["partition=singletons,pears"], "partition: the option 'pears'"),
        (["partition=explicit"], "give a value for partition.blocks"),
        (["partition=explicit", "partition.blocks=[[0,1]]"], r"missing: \[2, 3\]"),
        (["partition=full", "env.n_agents=9"], "9 agents with 3 actions each has 19683.*up to 8 agents"),
        (["rounds=0"], "rounds=0 is not possible.*from 1 to 1000000"),
        (["rounds=5,0"], "rounds=0 is not possible"),
        (["rounds=many"], "rounds=many is not possible"),
        (["seed=0,-1"], "seed=-1 is not possible"),
        (["delta=0"], "delta=0 is not possible.*above 0"),
        (["ridge=0"], "ridge=0 is not possible.*above 0"),
        (["ridge=500"], "no confidence radius.*at most 480"),
        (["exploration_factor=-1"], "exploration_factor=-1 is not possible"),
        (["block_noise=none"], "block_noise=none is not possible.*valid: independent, sum"),
        (["env=cartpole"], "env=cartpole is no linear bandit.*valid: env=linear_bandit"),
        (["env.noise=-1.0"], "noise=-1.0 is not possible"),
        (["env._target_=nowhere.World"], "leads nowhere"),
        (["env.nagents=2"], "env: the key 'nagents' does not exist. Did you mean 'n_agents'"),
        (["algo=lomaq"], "the key 'algo' does not exist.*valid: block_noise, delta, env"),
        (["+beta=1"], r"'\+beta=1' adds or removes a key"),
        (["++beta=1"], r"'\+\+beta=1' adds or removes a key"),
        (["~seed"], "adds or removes a key"),
        (["rounds=${nothing}"], "nothing.*see --help"),
        (["rounds"], "'rounds' is no override.*key=value"),
        (["paths.runs=file/runs", "rounds=2"], "cannot make the folder file/runs/bandit.*A file stands"),
    ],
)
def test_bad_input_is_told_before_anything_is_played(arguments: list[str], told: str) -> None:
    Path("file").write_text("in the way")
    with pytest.raises(UserError, match=f"(?s){told}"):
        run(arguments)
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(monkeypatch, "bandit", "rounds=0") == 2
    assert capsys.readouterr() == (
        "",
        "marlpipe: rounds=0 is not possible.\n  valid: a whole number from 1 to 1000000\n  next: rounds=1\n",
    )


def test_help_names_every_key_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert verb("bandit")(["rounds=0", "--help"]) == 0
    said = capsys.readouterr().out
    defaults = OmegaConf.load(config_folder() / "bandit.yaml")
    for key in set(defaults) - {"defaults", "env"}:
        assert f"\n  {key}: {defaults[key]}" in said
    assert "neighbourhoods, pairs, singletons" in said


def test_documented_commands_are_accepted() -> None:
    lines = [line.strip() for line in CARD.read_text(encoding="utf-8").splitlines()]
    commands = [line.removeprefix("python -m ") for line in lines if "marlpipe bandit " in line]
    assert commands
    for command in commands:
        assert built(asked(shlex.split(command, comments=True)[2:], config_folder())[-1].config)


@pytest.mark.parametrize("sweep", ["seed=interval(0,2)", "partition=glob(*)", "seed=range(0,0)"])
def test_values_that_are_not_listed_are_refused(sweep: str) -> None:
    with pytest.raises(UserError, match=r"has no list of values\.\n  valid: A,B,… or choice"):
        asked([sweep], config_folder())
