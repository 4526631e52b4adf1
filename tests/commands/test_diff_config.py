"""`python -m marlpipe diff_config`: what two presets, commands or runs come to, and how they differ."""

import json
import re
import shutil
from copy import deepcopy
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict
from rich.console import Console

from marlpipe.commands.diff_config.comparison import comparison
from marlpipe.commands.diff_config.sides import Side, resolved
from marlpipe.config.differences import differences, is_not_hashed
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import arm_hash, run_path
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.training.session import RunRequest, train, write_identity
from tests.support.command import exit_status, verb
from tests.support.composition import compose
from tests.training.test_resume import SHORT, task

TYPED = " ".join([*SHORT, "algo=vdn", "env_steps=60"])
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "seed=0"
    train(task(folder, "algo=vdn", "env_steps=60"))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return shutil.copytree(trained, tmp_path / "copy")


def started(folder: Path, *overrides: str) -> None:
    """A run that has written who it is, and nothing more."""
    config = task(folder, *overrides)
    write_identity(RunFolder(folder).create(), config, RunRequest.by_hydra(config, HydraConfig.get()))


def rewrite(folder: Path, **changes: Any) -> None:
    """Other values in the record of a run."""
    record = json.loads((folder / "run.json").read_text())
    for key, value in changes.items():
        record[key] = (record[key] or {}) | value if isinstance(value, dict) else value
    (folder / "run.json").write_text(json.dumps(record))


def lines(out: str) -> list[list[str]]:
    """The cells of the table, line by line: keys and headings."""
    cells = [re.split(r" {2,}", line.strip()) for line in out.splitlines() if re.match(r" [\w.]", line)]
    return cells[1:] if cells and cells[0] == ["key", "A", "B"] else cells


def told(capsys: Capture, *sides: object) -> str:
    """What is printed of two sides."""
    assert verb("diff_config")(sides) == 0
    return capsys.readouterr().out


def table(out: str) -> dict[str, tuple[str, str]]:
    """The values of each key, and the options of each group."""
    return {line[0]: (line[1], line[2]) for line in lines(out) if len(line) == 3}


def yaml(option: str) -> dict[str, Any]:
    """A config file as it is written."""
    values = OmegaConf.to_container(OmegaConf.load(config_folder() / f"{option}.yaml"))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def typed(value: Any) -> str:
    """A value of a file as the table should tell it."""
    return value.removeprefix("marlpipe.") if isinstance(value, str) else json.dumps(value)


def test_two_algorithms_differ_in_the_parts_that_they_select(capsys: Capture) -> None:
    """In what the files of their parts say, in that order."""
    expected: list[list[str]] = []
    for group, options in (("projection", ("qpro", "optimistic")), ("replay", ("fast", "uniform"))):
        a, b = (yaml(f"{group}/{option}") for option in options)
        expected.append([group, *options])
        for key in dict.fromkeys([*a, *b]):
            values = [typed(part[key]) if key in part else "no such key" for part in (a, b)]
            expected.append([f"{group}.{key}", *values])
    out = told(capsys, "algo=qpro", "algo=wqmix")
    assert lines(out) == expected
    assert expected[1][1:] == ["algos.projections.regret.RegretMinimising", "algos.projections.weighted.Optimistic"]
    names = [run_path(compose(f"algo={algo}")).name for algo in ("qpro", "wqmix")]
    assert out.startswith(f"A  algo=qpro\n   multirun/{names[0]}\nB  algo=wqmix\n   multirun/{names[1]}\n")
    assert out.endswith(
        f"Keys that differ and that the results depend on: {len(expected) - 2}.\n"
        f"Their run folders: {names[0]} and {names[1]}\n"
    )


def test_two_profiles_differ_in_the_papers_constants_and_in_what_follows_from_them(capsys: Capture) -> None:
    rows = table(told(capsys, "profile=lomaq", "profile=qpro"))
    assert rows["profile"] == ("lomaq", "qpro")
    assert rows["profile.batch_episodes"] == ("50", "128")
    assert rows["profile.optimizer._target_"] == ("torch.optim.RMSprop", "torch.optim.Adam")
    assert rows["profile.optimizer.eps"] == ("1e-05", "no such key")
    for group in ("profile", "loss"):
        assert rows[f"{group}.returns._target_"] == (
            "algos.targets.one_step_targets",
            "algos.targets.lambda_targets",
        )
        assert rows[f"{group}.returns.trace_decay"] == ("no such key", "0.6")
    assert "profile.discount" not in rows  # 0.99 in both
    groups = [key.split(".")[0] for key in rows]
    assert groups == sorted(groups, key=[str(group) for group in compose()].index)


def test_the_sides_are_not_mixed_up(capsys: Capture) -> None:
    forth, back = (table(told(capsys, *sides)) for sides in (("algo=qmix", "algo=qpro"), ("algo=qpro", "algo=qmix")))
    assert {key: (b, a) for key, (a, b) in forth.items()} == back


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("algo=qmix", ""),
        ("algo=lomaq partition=full", "partition=full algo=lomaq"),
        ("+experiment=games/classic algo=qpro", "env=payoff +experiment=games/classic algo=qpro seed=0"),
        ("env_steps=40_000 " * 20, "env.n_agents=3"),  # longer than a file's name can be
    ],
)
def test_two_ways_to_type_the_same(a: str, b: str, capsys: Capture) -> None:
    out = told(capsys, a, b)
    name = run_path(compose(*a.split())).name
    assert lines(out) == []
    assert f"\nA and B come to the same config.\nThe run folder of both: {name}\n" in out


def test_two_names_of_one_algorithm_have_two_folders(capsys: Capture) -> None:
    out = told(capsys, "algo=ow_qmix", "algo=wqmix")
    arm = arm_hash(compose("algo=wqmix"))
    assert lines(out) == []
    assert out.endswith(
        "A and B come to the same config.\n"
        f"Their run folders: cartpole/ow_qmix-{arm}/seed=0 and cartpole/wqmix-{arm}/seed=0\n"
    )


def test_what_is_no_part_of_the_results_stands_apart(capsys: Capture) -> None:
    one, other = "env=simple_spread env.workers=1", "env=simple_spread env.workers=2 threads=1"
    out = told(capsys, one, f"{other} paths.runs=elsewhere")
    assert lines(out) == [
        ["no part of the results"],
        ["threads", "null", "1"],
        ["env.workers", "1", "2"],
        ["paths.runs", "multirun", "elsewhere"],
    ]
    assert out.endswith(
        "A and B come to the same config, but for what is no part of the results.\n"
        f"The run folder of both: {run_path(compose('env=simple_spread')).name}\n"
    )
    out = told(capsys, one, f"{other} agent.hidden=9 seed=1")
    assert lines(out)[1:4] == [["agent.hidden", "64", "9"], ["seed", "0", "1"], ["no part of the results"]]
    assert "depend on: 1.\n" in out


def test_two_seeds_of_an_arm(capsys: Capture) -> None:
    out = told(capsys, "algo=vdn seed=1", "algo=vdn seed=2")
    name = run_path(compose("algo=vdn", "seed=1")).name
    assert lines(out) == [["seed", "1", "2"]]
    assert out.endswith(
        f"A and B come to the same config, but for the seed.\nTheir run folders: {name} and {name.removesuffix('1')}2\n"
    )
    assert "but for the seed and what is no part" in told(capsys, "seed=1", "seed=2 threads=1")


CONFIGS = [
    ("algo=ow_qmix",),
    ("algo=wqmix",),
    ("algo=wqmix", "seed=3", "threads=1", "logger=none", "paths.runs=x"),
    ("algo=wqmix", "projection.alpha=0.2"),
    ("algo=wqmix", "env=simple_spread"),
    ("algo=wqmix", "env=simple_spread", "env.workers=3"),
]
NOTES = [1, 1.0, True, "1", None, [1, 2], [2, 1], {"a": 1.0, "b": 2}]
NOTES += [{"a": 1, "b": 2}, {"b": 2, "a": 1}, [{"a": 1, "b": 2}], [{"b": 2, "a": 1}]]


def test_nothing_differs_exactly_where_the_arms_hash_is_the_same() -> None:
    noted = [deepcopy(compose(*CONFIGS[0])) for _ in NOTES]
    for config, note in zip(noted, NOTES, strict=True):
        with open_dict(config):
            config.note = note
    arms = [(resolved(config, ""), arm_hash(config)) for config in [*(compose(*typed) for typed in CONFIGS), *noted]]
    pairs = [
        (all(is_not_hashed(path) for path, _, _ in differences(a, b)), x == y)
        for (a, x), (b, y) in combinations(arms, 2)
    ]
    assert all(alike == same_hash for alike, same_hash in pairs)
    assert sum(alike for alike, _ in pairs) == 6  # three of WQMIX, its two on simple_spread, the orders of a mapping


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (1, "1"),
        (1.0, "1.0"),
        ("1", '"1"'),
        ("null", '"null"'),
        (None, "null"),
        (True, "true"),
        ("word", "word"),
        ("", '""'),
        (1e-5, "1e-05"),
        ([[0, 1], [2]], "[[0, 1], [2]]"),
        (["a", "b, c"], '["a", "b, c"]'),
        ("[bold]x", "[bold]x"),
        ({"a": {"b": 1}}, "{a: {b: 1}}"),
        (
            {"_target_": "marlpipe.algos.targets.x", "_partial_": True, "discount": 0.9},
            "algos.targets.x(discount=0.9, …)",
        ),
        ({"_target_": "torch.nn.ReLU", "inplace": True}, "torch.nn.ReLU(inplace=true)"),
        ([{"_target_": "hydra.utils.get_method", "path": "marlpipe.algos.targets.x"}], "[algos.targets.x]"),
    ],
)
def test_a_value_is_told_so_that_nobody_takes_it_for_another(value: object, cell: str) -> None:
    assert lines(printed({"note": value}, {}, width=80)) == [["note", cell, "no such key"]]
    assert lines(printed({}, {"note": value}, width=80)) == [["note", "no such key", cell]]


def test_a_narrow_console_loses_nothing() -> None:
    out = printed({"note": 300 * "x"}, {"note": 200 * "y"}, width=60)
    assert (out.count("x"), out.count("…"), lines(out)[0][2][:3]) == (300, 0, "yyy")


def printed(a: dict[str, Any], b: dict[str, Any], width: int) -> str:
    """The comparison of two configs that no run has."""
    sides = [Side(overrides="", folder=Path(), name="", config=config, choices={}) for config in (a, b)]
    console = Console(width=width, file=StringIO())
    with console.capture() as captured:
        console.print(comparison(*sides))
    return captured.get()


def test_a_part_in_the_place_of_null(capsys: Capture) -> None:
    rows = table(told(capsys, "monotonicity=abs", "monotonicity=projected"))
    project = yaml("monotonicity/projected")["project"]
    assert rows["monotonicity.project"] == ("null", project["path"])


def test_a_run_and_the_command_that_started_it(trained: Path, capsys: Capture) -> None:
    out = told(capsys, trained, TYPED)
    name = run_path(compose(*TYPED.split())).name
    assert lines(out) == []
    assert out == (
        f"A  {TYPED}\n   {trained}\nB  {TYPED}\n   multirun/{name}\n\n"
        f"A and B come to the same config.\nThe run folder of both: {name}\n"
    )


def test_a_run_that_deviates_from_a_preset(tmp_path: Path, capsys: Capture) -> None:
    started(tmp_path, "+experiment=lomaq/fig5_cartpole", "algo=lomaq", "profile.gradient_clip=5.0")
    out = told(capsys, tmp_path, " ".join(["+experiment=lomaq/fig5_cartpole", "algo=lomaq", *SHORT]))
    assert lines(out) == [["profile", "lomaq", "lomaq"], ["profile.gradient_clip", "5.0", "10.0"]]
    assert "depend on: 1.\n" in out
    swept = yaml("experiment/lomaq/fig5_cartpole")["hydra"]["sweeper"]["params"]
    seeds = len(str(swept["seed"]).split(","))
    assert f"With -m, B is a grid of {seeds} runs; compared is the one that starts without -m.\n" in out
    assert "With -m, A" not in out


def test_two_runs_are_compared_by_code_packages_and_machine(trained: Path, folder: Path, capsys: Capture) -> None:
    record = json.loads((trained / "run.json").read_text())
    machine = record["hardware"]
    rewrite(
        folder, versions={"torch": "1.13.1", "mine": "3.0.1"}, hardware={"cores": 96, "gpus": ["H100"]}, python="3.9.1"
    )
    out = told(capsys, trained, folder)
    assert lines(out)[0] == ["code and machine"]
    assert table(out) == {
        "python": (record["python"], "3.9.1"),
        "versions.torch": (record["versions"]["torch"], "1.13.1"),
        "versions.mine": ("no such key", "3.0.1"),
        "hardware.cores": (str(machine["cores"]), "96"),
        "hardware.gpus": (json.dumps(machine["gpus"]), '["H100"]'),
    }
    assert "\nA and B come to the same config.\nThe run folder of both: " in out
    assert "code and machine" not in told(capsys, folder, TYPED)  # a command has no machine


@pytest.mark.parametrize("a", [True, False])
@pytest.mark.parametrize("b", [True, False])
def test_the_commits_of_two_runs(a: bool, b: bool, trained: Path, folder: Path, capsys: Capture) -> None:
    other = shutil.copytree(trained, folder.parent / "other")
    rewrite(folder, git={"commit": "abc", "dirty": a})
    rewrite(other, git={"commit": "abc", "dirty": b})
    out = told(capsys, folder, other)
    assert table(out) == ({} if a == b else {"git.dirty": (json.dumps(a), json.dumps(b))})
    assert ("Both runs had uncommitted changes" in out) == (a and b)
    rewrite(other, git={"commit": "fade", "dirty": b})
    assert table(told(capsys, folder, other))["git.commit"] == ("abc", "fade")


def test_a_run_that_left_no_record(trained: Path, folder: Path, capsys: Capture) -> None:
    (folder / "run.json").unlink()
    out = told(capsys, trained, folder)
    assert lines(out) == []
    assert out.endswith("\nB has no run.json: its code, packages and machine are not known.\n")


def test_a_config_whose_recorded_name_is_another(folder: Path, trained: Path, capsys: Capture) -> None:
    """As of a run that other code named."""
    name = run_path(compose(*TYPED.split())).name
    rewrite(folder, arm="12345678")
    assert f"Their run folders: cartpole/vdn-12345678/seed=0 and {name}\n" in told(capsys, folder, trained)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["missing argument 'A'.", "valid: marlpipe diff_config [OPTIONS] A B", "--help"]),
        (["algo=qpro"], ["missing argument 'B'."]),
        (
            ["algo=qpro", "algo=wqmix", "env=payoff"],
            ["got unexpected extra argument (env=payoff)."],
        ),
        (
            ["", "multirun/payoff/qmix-1a2b3c4d/seed=7"],
            ["no folder multirun/payoff/qmix-1a2b3c4d/seed=7."],
        ),
        (["nowhere/at/all", ""], ["there is no folder nowhere/at/all.", "multirun/ENV/ALGO-HASH/seed=SEED"]),
        (["/nowhere/seed=1", ""], ["there is no folder /nowhere/seed=1."]),
        (
            ["empty", ""],
            ["empty is not the folder of a run: it has no config.yaml.", "multirun/ENV/"],
        ),
        (["other", ""], ["other/config.yaml is not the config of a run: it has no env."]),
        (["torn", ""], ["torn/config.yaml cannot be read: ", "Restore the file."]),
        (["open", ""], ["open/config.yaml: env.a refers to another value, '${nope}', and was not looked up."]),
        (["algo=qmx", ""], ["algo: the option 'qmx' does not exist. Did you mean 'qmix'?", "valid: cw_qmix, "]),
        (["env.n_agent=2", ""], ["env: the key 'n_agent' does not exist. Did you mean 'n_agents'?"]),
        (["+mixer.embd=8", ""], ["mixer: the key 'embd' does not exist. Did you mean 'embed'?"]),
        (["+experiment=classic", ""], ["experiment: the option 'classic' does not exist.", "games/classic"]),
        (["experiment=games/classic", ""], ["Could not override 'experiment'", "+experiment=games/classic"]),
        (["qpro", ""], ["'qpro' is neither", "valid: algo=qpro, evaluation=qpro, profile=qpro, projection=qpro\n"]),
        (["qpr", ""], ["'qpr' is neither", "valid: algo=qpro, "]),
        (["lomaq/fig5_cartpole", ""], ["valid: +experiment=lomaq/fig5_cartpole\n"]),
        (["algo=qpro payoff", ""], ["'payoff' is neither", "valid: env=payoff\n"]),
        (["-m", ""], ["the option '-m' does not exist.", "valid: --help"]),
        (["algo=qpro,vdn seed=3,4", ""], ["is a grid.", "pick one of its runs, as in 'algo=qpro seed=3'"]),
        (["a='b", ""], ["a='b cannot be read: No closing quotation", "close the quotes"]),
        (["profile.discount=${nope}", ""], ["discount refers to what is not there: Interpolation key 'nope'"]),
        (["++mixer.embd=3", ""], ["mixer: the key 'embd' does not exist. Did you mean 'embed'?"]),
        (["~env", ""], ["no env is chosen."]),
    ],
)
def test_bad_input(
    arguments: list[str], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name, text in {"other": "a: 1", "torn": "env: {", "open": "env: {a: '${nope}'}"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert ended(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("marlpipe: ")
    assert all(part in err for part in expected), err


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the command line."""
    return exit_status(monkeypatch, "diff_config", *arguments)


@pytest.mark.parametrize("b", ["algo=vdn", "algo=vdn env=payoff"])
def test_the_exit_status_is_the_same_whether_or_not_they_differ(
    b: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert ended(monkeypatch, "algo=vdn", b) == 0
    assert ("env.team_payoffs" in table(capsys.readouterr().out)) == ("payoff" in b)


@pytest.mark.parametrize("typed", ["agent.shared=no", "profile.optimizer.lr=-0.1", "logger.tags=paper"])
def test_what_no_run_can_have_is_not_compared(typed: str) -> None:
    with pytest.raises(UserError, match=f"^{typed} is not possible"):
        verb("diff_config")(["algo=qmix", typed])
