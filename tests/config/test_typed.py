"""What a user types: quotes that are missing are shown, and what nothing follows is refused."""

import shlex
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from marlpipe.config.folder import config_folder
from marlpipe.config.plan import planned_folders
from marlpipe.config.typed import check_typed, parse_overrides, searchpath, with_one_searchpath
from marlpipe.errors import UserError
from tests.support.repository import ROOT


def proposed_by(error: UserError) -> Any:
    """The value of what a message says to type."""
    [word] = shlex.split(str(error).partition("next: type ")[2].partition(", if the value is")[0])
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("value", ["läufe", "a#b", "a;b", "a=b", "a b{", "it's", 'say "no"', "名前/läufe", "c:\\läufe"])
def test_a_value_that_needs_quotes_is_shown_in_them(value: str) -> None:
    with pytest.raises(UserError, match="needs quotes") as error:
        parse_overrides([f"paths.runs={value}"])
    assert proposed_by(error.value) == value


def test_texts_of_a_list_are_shown_in_quotes() -> None:
    with pytest.raises(UserError, match="needs quotes") as error:
        parse_overrides(["hydra.launcher.setup=[source ~/env.sh, module load läufe]"])
    assert proposed_by(error.value) == ["source ~/env.sh", "module load läufe"]


@pytest.mark.parametrize("typed", ["algo", "=3", "a=[1", "a=b)", "a=(", "a..b=1"])
def test_what_is_no_override_says_so(typed: str) -> None:
    with pytest.raises(UserError, match=r"is no override|needs quotes"):
        parse_overrides([typed])


@pytest.mark.parametrize(
    ("word", "reason"), [("seed=choice()", "empty choice"), ("seed=nosuch(1)", "Unknown function 'nosuch'")]
)
def test_functions_that_cannot_be_evaluated(word: str, reason: str) -> None:
    with pytest.raises(UserError, match=rf"cannot be evaluated: {reason}.*\n.*\n  next: mend it, or type 'seed=\""):
        parse_overrides([word])


@pytest.mark.parametrize(
    ("typed", "next_step"),
    [
        ("hydra.run.dir=/x", "paths.runs=FOLDER"),
        ("hydra.sweep.dir=/x", "paths.runs=FOLDER"),
        ("hydra.sweep.subdir=x", "paths.runs=FOLDER"),
        ("hydra.mode=MULTIRUN", "leave it out"),
        ("hydra.job.chdir=true", "leave it out"),
        ("+hydra.job.env_set.A=1", "leave it out"),
        ("hydra/job_logging=default", "leave it out"),
        ("~hydra/launcher", "leave it out"),
        ("~hydra", "leave it out"),
        ("hydra.launchers.processes=1", "leave it out"),
    ],
)
def test_what_nothing_follows_of_hydra_is_refused_by_name(typed: str, next_step: str) -> None:
    with pytest.raises(UserError) as error:
        check_typed(["algo=qmix", typed])
    assert str(error.value).startswith(f"{typed} is not possible: marlpipe has no use for this key of Hydra.")
    assert next_step in str(error.value).splitlines()[-1]


def test_what_is_followed_of_hydra() -> None:
    check_typed(["hydra/launcher=slurm", "hydra.launcher.gpus=2", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3"])
    check_typed([f"hydra.searchpath=[{ROOT}/conf]", "+hydra.launcher.extra.exclusive=true"])


@pytest.mark.parametrize(
    "typed", ["hydra.searchpath=[/no/such]", "hydra.searchpath=[pkg://no.such]", "hydra.searchpath=x"]
)
def test_a_place_of_configs_that_is_not_there(typed: str) -> None:
    with pytest.raises(UserError, match=r"no folder of configs|valid: a list of folders"):
        check_typed([typed])


def test_a_folder_with_any_name_is_found() -> None:
    folder = ROOT / 'a "b" läufe'
    assert searchpath(parse_overrides(with_one_searchpath([], [folder]))) == [f"file://{folder}"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=range(1,2,0)"], r"seed=range\(1,2,0\) is not possible: .*zero"),
        (["seed=range(0,1000000000000)"], r"seed=range\(0,1000000000000\): more than 100000 runs\n  next: "),
        (["seed=range(0,1,1e-9)"], "more than 100000 runs"),
        (["seed=range(0,1000)", "env_steps=range(1,1000)"], r"seed=range.* env_steps=range.*: more than 100000 runs"),
        (["seed=range(3,1)"], r"seed=range\(3,1\) matches nothing"),
    ],
)
def test_grids_that_cannot_be_listed(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned_folders(words, config_folder(), sweep=True)


def test_places_of_configs_are_one_list() -> None:
    typed = ["hydra.searchpath=[a]", "seed=1", "+hydra.searchpath=['b c',pkg://d]"]
    together = with_one_searchpath(typed, [ROOT])
    assert together[0] == "seed=1"
    assert len(together) == 2
    assert searchpath(parse_overrides(together)) == ["a", "b c", "pkg://d", f"file://{ROOT}"]
    assert with_one_searchpath(["seed=1"]) == ["seed=1"]
